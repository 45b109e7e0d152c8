/** What a table has under a name from outside; what every object has by birth (`__proto__`, `constructor`) is not in it. */
export function own<T>(table: Readonly<Record<string, T>>, name: string | undefined): T | undefined {
  return name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}
