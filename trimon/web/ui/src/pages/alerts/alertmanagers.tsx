import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { Facts, Page, Panel } from "../../components/layout/page";
import { Empty, Loaded } from "../../components/states";
import { count } from "../../values/numbers";

interface Alertmanagers {
  activeAlertmanagers: { url: string }[];
  droppedAlertmanagers: { url: string }[];
}

interface Sample {
  metric: Record<string, string>;
  value: [number, string];
}

const EVERY_MS = 10_000;
const FIGURES = {
  sent: "prometheus_notifications_sent_total",
  errors: "prometheus_notifications_errors_total",
  dropped: "prometheus_notifications_dropped_total",
  waiting: "prometheus_notifications_queue_length",
} as const;
type Figure = keyof typeof FIGURES;

/** The server's own figures of each Alertmanager, as far as it scrapes itself. */
function useFigures() {
  const names = Object.values(FIGURES).join("|");
  return useAsked(
    async (signal) => {
      const answer = await ask<{ result: Sample[] }>(
        "/query",
        { query: `{__name__=~"${names}"}` },
        { signal, post: true },
      );
      const found = new Map<string, number>();
      for (const { metric, value } of answer.data.result) {
        found.set(`${metric.__name__} ${metric.alertmanager ?? ""}`, Number(value[1]));
      }
      return found;
    },
    [],
    EVERY_MS,
  );
}

function Address({ url }: { url: string }) {
  return /^https?:/.test(url) ? (
    <a href={url.replace(/\/api\/v2\/alerts$/, "")} target="_blank" rel="noreferrer noopener">
      <code>{url}</code>
    </a>
  ) : (
    <code>{url}</code>
  );
}

/** Who gets the alerts, and how much of them. */
export default function AlertmanagersPage() {
  const asked = useAsked((signal) => ask<Alertmanagers>("/alertmanagers", {}, { signal }), [], EVERY_MS);
  const figures = useFigures();
  const figure = (name: Figure, url: string) => {
    const value = figures.data?.get(`${FIGURES[name]} ${url}`);
    return value === undefined ? "–" : count(value);
  };
  return (
    <Page
      title="Alertmanagers"
      about="Who gets the alerts. The figures are those that the server scrapes of itself."
    >
      <Loaded asked={asked}>
        {(answer) => {
          const { activeAlertmanagers: active, droppedAlertmanagers: dropped } = answer.data;
          if (!active.length && !dropped.length) {
            return (
              <Empty title="Alerts go nowhere">
                The configuration has no Alertmanagers under <code>alerting</code>, or discovery has found
                none yet.
              </Empty>
            );
          }
          return (
            <>
              {active.map(({ url }) => (
                <Panel
                  key={url}
                  title={<Address url={url} />}
                  actions={<Badge tone="good">gets alerts</Badge>}
                >
                  <Facts
                    facts={[
                      ["sent", figure("sent", url)],
                      ["waiting", figure("waiting", url)],
                      ["errors", figure("errors", url)],
                      ["dropped", figure("dropped", url)],
                    ]}
                  />
                </Panel>
              ))}
              {dropped.map(({ url }) => (
                <Panel
                  key={url}
                  title={<code>{url}</code>}
                  actions={<Badge tone="warn">dropped by relabeling</Badge>}
                >
                  <p class="muted">A rule under alert_relabel_configs or relabel_configs leaves it out.</p>
                </Panel>
              ))}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
