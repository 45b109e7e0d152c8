import type { ComponentChildren } from "preact";
import { useUrlState } from "../../state/urlstate";
import { SearchField } from "../controls/search";
import { Page } from "./page";

/** What is searched for on a page; it stands in the URL. */
export function useSearch(): [string, (value: string) => void] {
  return useUrlState("search");
}

/** A page whose head has the field that its content is searched by, and further choices beside it. */
export function SearchPage({
  title,
  about,
  label,
  placeholder,
  actions,
  children,
}: {
  title: string;
  about: ComponentChildren;
  /** What the field is called. */
  label: string;
  placeholder?: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  const [search, setSearch] = useSearch();
  return (
    <Page
      title={title}
      about={about}
      actions={
        <>
          <SearchField
            value={search}
            onChange={setSearch}
            label={label}
            {...(placeholder ? { placeholder } : {})}
          />
          {actions}
        </>
      }
    >
      {children}
    </Page>
  );
}
