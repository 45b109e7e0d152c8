/**
 * Texts from outside: names, values and errors that whoever is scraped or asks may have chosen.
 *
 * Two things no page can do anything about by itself, so that every text passes through here on its way to an element:
 * characters that turn the direction of the text around them are written as `\u202e`, and a text without end is cut, with
 * the rest on demand. Markup needs nothing: no page is made of text with markup in it.
 */

import { Fragment, h, options, type VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "../values/numbers";
import { cut, isLong, visible } from "../values/outside";

/** The beginning of a long text, and all of it when somebody asks. */
function LongText({ text }: { text: string }) {
  const [isWhole, setWhole] = useState(false);
  const [isInControl, setInControl] = useState(true);
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => setInControl(!!place.current?.closest("button, a, summary, label, option")), []);
  if (isWhole) return <span data-whole>{text}</span>;
  return (
    <span ref={place}>
      {cut(text)}…{" "}
      {isInControl ? (
        `(${count(text.length)} characters)`
      ) : (
        <button type="button" class="plain" onClick={() => setWhole(true)}>
          Show all {count(text.length)} characters
        </button>
      )}
    </span>
  );
}

// These hold texts of any length that are looked at as a whole.
const WHOLE = new Set(["pre", "textarea", "title", "style", "script"]);
const ATTRIBUTES = ["title", "aria-label"];

function shown(child: unknown, isWhole: boolean): unknown {
  if (typeof child !== "string") return child;
  const text = visible(child);
  return !isWhole && isLong(text) ? h(LongText, { text }) : text;
}

function change(node: VNode): void {
  const { type } = node;
  if (typeof type !== "string" && type !== Fragment) return;
  const properties = node.props as Record<string, unknown>;
  const { children } = properties;
  const isWhole = (typeof type === "string" && WHOLE.has(type)) || "data-whole" in properties;
  if (typeof children === "string") properties.children = shown(children, isWhole);
  else if (Array.isArray(children)) properties.children = children.map((child) => shown(child, isWhole));
  for (const name of ATTRIBUTES) {
    const text = properties[name];
    if (typeof text === "string") properties[name] = isLong(text) ? `${cut(visible(text))}…` : visible(text);
  }
}

/** Has every text of every page pass through here. */
export function guardTexts(): void {
  const before = options.vnode;
  options.vnode = (node) => {
    change(node);
    before?.(node);
  };
}
