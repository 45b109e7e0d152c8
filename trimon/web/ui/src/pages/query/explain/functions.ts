/** What each function of PromQL does, in a sentence. */

const PER_RANGE: Record<string, string> = {
  avg: "the average",
  sum: "the sum",
  min: "the smallest",
  max: "the largest",
  count: "the number",
  first: "the first",
  last: "the last",
  stddev: "the standard deviation",
  stdvar: "the variance",
  mad: "the median distance from the median",
  ts_of_min: "the time of the smallest",
  ts_of_max: "the time of the largest",
  ts_of_first: "the time of the first",
  ts_of_last: "the time of the last",
};

const CALENDAR: Record<string, string> = {
  day_of_month: "the day of the month (1 to 31)",
  day_of_week: "the day of the week (0 is Sunday)",
  day_of_year: "the day of the year (1 to 366)",
  days_in_month: "how many days the month has",
  hour: "the hour (0 to 23)",
  minute: "the minute (0 to 59)",
  month: "the month (1 to 12)",
  year: "the year",
};

const TRIGONOMETRY: Record<string, string> = {
  sin: "sine",
  cos: "cosine",
  tan: "tangent",
  asin: "arc sine",
  acos: "arc cosine",
  atan: "arc tangent",
  sinh: "hyperbolic sine",
  cosh: "hyperbolic cosine",
  tanh: "hyperbolic tangent",
  asinh: "inverse hyperbolic sine",
  acosh: "inverse hyperbolic cosine",
  atanh: "inverse hyperbolic tangent",
  deg: "value in degrees, taken as radians,",
  rad: "value in radians, taken as degrees,",
};

const OTHERS: Record<string, string> = {
  abs: "Makes each value positive.",
  absent:
    "Gives one series with the value 1 when there is nothing at all, else nothing: made for alerts about what is missing.",
  absent_over_time:
    "Gives one series with the value 1 when there was no sample at all in the range, else nothing.",
  ceil: "Rounds each value up to a whole number.",
  changes: "Counts how often the value of each series changed in the range.",
  clamp: "Keeps each value between a lower and an upper bound.",
  clamp_max: "Cuts each value off at an upper bound.",
  clamp_min: "Lifts each value to a lower bound.",
  delta:
    "How much each gauge changed from the begin of the range to its end, extrapolated to the whole range. For counters there is increase.",
  deriv: "How fast each gauge changes a second, by a straight line laid through its samples.",
  double_exponential_smoothing:
    "Smooths each gauge: the nearer the first factor is to 0, the more weight old samples have; the second does so for the trend.",
  end: "The end of the time range that is asked for, in seconds since 1970.",
  exp: "e to the power of each value.",
  floor: "Rounds each value down to a whole number.",
  histogram_avg: "The average of what each native histogram observed.",
  histogram_count: "How many observations each native histogram has.",
  histogram_fraction: "Which share of a histogram's observations lies between two bounds.",
  histogram_quantile:
    "The value below which the given share of observations lies (0.99: all but one in a hundred), of native histograms or of classic buckets with their label le. Within a bucket it is estimated.",
  histogram_quantiles: "Several quantiles of histograms at once, told apart by a label.",
  histogram_stddev: "The standard deviation of what each native histogram observed, estimated.",
  histogram_stdvar: "The variance of what each native histogram observed, estimated.",
  histogram_sum: "The sum of what each native histogram observed.",
  idelta: "The difference of the last two samples of each gauge.",
  increase:
    "How much each counter grew in the range. A counter that begins anew is seen, and what it counted before is kept. It is extrapolated to the whole range, so it need not be a whole number.",
  info: "Adds the labels of info metrics, such as target_info, to each series.",
  irate:
    "How fast each counter grows a second, by its last two samples alone: quick to follow, and jumpy. For alerts rate is better.",
  label_join: "Puts values of several labels together into one label.",
  label_replace:
    "Sets a label from another one: where the regular expression matches its value, the replacement becomes the value.",
  ln: "The natural logarithm of each value.",
  log10: "The decimal logarithm of each value.",
  log2: "The binary logarithm of each value.",
  max_of: "The larger of two numbers.",
  min_of: "The smaller of two numbers.",
  pi: "The number π.",
  predict_linear:
    "What each gauge will be so many seconds from now, by a straight line laid through its samples.",
  present_over_time: "The value 1 for each series that had a sample in the range.",
  quantile_over_time: "The quantile of each series' samples in the range.",
  range: "The length of the time range that is asked for, in seconds.",
  rate: "How fast each counter grows a second, on average over the range. A counter that begins anew is seen, and counts on from there. The range should hold at least four scrapes.",
  resets: "Counts how often each counter began anew in the range.",
  round: "Rounds each value to the nearest multiple of the second argument, or to a whole number.",
  scalar: "The value of the only series as a number without labels; NaN when there is not exactly one.",
  sgn: "The sign of each value: 1, 0 or −1.",
  sort: "Orders series by value, the smallest first. It counts in tables alone.",
  sort_by_label: "Orders series by the values of labels. It counts in tables alone.",
  sort_by_label_desc: "Orders series by the values of labels, the last first. It counts in tables alone.",
  sort_desc: "Orders series by value, the largest first. It counts in tables alone.",
  sqrt: "The square root of each value.",
  start: "The begin of the time range that is asked for, in seconds since 1970.",
  start_timestamp: "When each counter began, in seconds since 1970.",
  step: "The step that is asked with, in seconds.",
  time: "The time that is asked for, in seconds since 1970.",
  timestamp: "When each sample was taken, in seconds since 1970.",
  vector: "A number as a series without labels.",
};

/** What a function does; "" for one that is not known. */
export function functionText(name: string): string {
  const over = /^(.*)_over_time$/.exec(name)?.[1];
  const reduced = over === undefined ? undefined : PER_RANGE[over];
  if (reduced) return `Of each series, ${reduced} of its samples in the range.`;
  if (CALENDAR[name])
    return `Of each value, taken as a time in seconds since 1970: ${CALENDAR[name]}, in UTC.`;
  if (TRIGONOMETRY[name]) return `The ${TRIGONOMETRY[name]} of each value.`;
  return OTHERS[name] ?? "";
}
