import { LabelChip } from "../../components/labels";
import type { Target } from "./model";

/** A URL without its parameters, and those decoded, one by one; a text that is no URL stays whole. */
export function endpointParts(url: string): { base: string; parameters: [string, string][] } {
  const at = url.indexOf("?");
  if (at < 0) return { base: url, parameters: [] };
  return { base: url.slice(0, at), parameters: [...new URLSearchParams(url.slice(at + 1))] };
}

/** Where a target is scraped; its parameters can be read. */
export function Endpoint({ target }: { target: Target }) {
  const { base, parameters } = endpointParts(target.scrapeUrl);
  return (
    <>
      <a
        href={/^https?:/.test(target.globalUrl) ? target.globalUrl : undefined}
        title={parameters.length ? target.scrapeUrl : undefined}
        target="_blank"
        rel="noreferrer noopener"
      >
        {base}
      </a>
      {parameters.length ? (
        <div class="chips">
          {parameters.map(([name, value], at) => (
            <LabelChip key={`${at} ${name}`} name={name} value={value} />
          ))}
        </div>
      ) : null}
    </>
  );
}
