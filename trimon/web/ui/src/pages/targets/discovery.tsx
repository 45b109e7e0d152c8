import { SearchPage, useSearch } from "../../components/layout/searchpage";
import { Tabs } from "../../components/layout/tabs";
import { useUrlState } from "../../state/urlstate";
import { ChangesTab } from "./changes";
import { DiscoveredTab } from "./discovered";
import { ProvidersTab } from "./providers";
import "../../styles/targets.css";

const TABS = [
  { name: "targets", title: "Targets" },
  { name: "providers", title: "Providers" },
  { name: "changes", title: "Last hour" },
] as const;
type TabName = (typeof TABS)[number]["name"];

/** Where targets come from: what was found, who finds it, and what came and went. */
export default function DiscoveryPage() {
  const [tab, setTab] = useUrlState("tab", "targets");
  const [search] = useSearch();
  return (
    <SearchPage
      title="Service discovery"
      about="What discovery found and what relabeling made of it; open a row to see what each rule does. Who finds targets, and what came and went."
      label="Search"
      placeholder="Label, job, error"
    >
      <Tabs tabs={TABS} value={tab as TabName} onChange={setTab} label="Discovery">
        <div class="page">
          {tab === "providers" ? (
            <ProvidersTab search={search} />
          ) : tab === "changes" ? (
            <ChangesTab search={search} />
          ) : (
            <DiscoveredTab search={search} />
          )}
        </div>
      </Tabs>
    </SearchPage>
  );
}
