import { SearchField } from "../../components/controls/search";
import { Page } from "../../components/layout/page";
import { Tabs } from "../../components/layout/tabs";
import { useUrlState } from "../../state/urlstate";
import { GrowthTab } from "./growthtab";
import { MetricsTab } from "./metricstab";
import "../../styles/explore.css";

const TABS = [
  { name: "metrics", title: "Metrics" },
  { name: "growth", title: "Growth" },
] as const;
type TabName = (typeof TABS)[number]["name"];

/** What is stored: every metric with its labels, and what takes more and more series. */
export default function ExplorePage() {
  const [tab, setTab] = useUrlState("tab", "metrics");
  const [search, setSearch] = useUrlState("search");
  return (
    <Page
      title="Explore"
      about="Every metric that is stored: what it is, how many series it has, and which label makes them many."
      actions={
        tab === "metrics" ? (
          <SearchField
            value={search}
            onChange={setSearch}
            label="Search metrics"
            placeholder="Name, type, help"
          />
        ) : null
      }
    >
      <Tabs tabs={TABS} value={tab as TabName} onChange={setTab} label="Explore">
        <div class="page">{tab === "growth" ? <GrowthTab /> : <MetricsTab search={search} />}</div>
      </Tabs>
    </Page>
  );
}
