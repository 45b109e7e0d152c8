import { useMemo } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Yaml } from "../../components/code/yaml";
import { CopyButton } from "../../components/controls/copy";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import { Loaded } from "../../components/states";
import { matches, words } from "../../values/search";

function Shown({ yaml, search }: { yaml: string; search: string }) {
  const marks = useMemo(() => {
    const wanted = words(search);
    if (!wanted.length) return new Set<number>();
    return new Set(yaml.split("\n").flatMap((line, at) => (matches(wanted, line) ? [at + 1] : [])));
  }, [yaml, search]);
  return (
    <>
      {search ? (
        <p class="muted" role="status">
          {marks.size === 1 ? "1 line has" : `${marks.size} lines have`} these words.
        </p>
      ) : null}
      <Yaml text={yaml} marks={marks} label="Configuration" />
    </>
  );
}

/** The configuration in effect, defaults and all, secrets hidden. */
export default function ConfigPage() {
  const config = useAsked((signal) => ask<{ yaml: string }>("/status/config", {}, { signal }), []);
  const [search] = useSearch();
  const yaml = config.data?.data.yaml ?? "";
  return (
    <SearchPage
      title="Configuration"
      about={
        <>
          What is in effect now, with what holds where the file says nothing. Secrets are hidden.{" "}
          <Link href="/plan">Plan a change</Link> shows what another file would do.
        </>
      }
      label="Search the configuration"
      actions={<CopyButton text={yaml} label="Copy the configuration" />}
    >
      <Loaded asked={config}>{(answer) => <Shown yaml={answer.data.yaml} search={search} />}</Loaded>
    </SearchPage>
  );
}
