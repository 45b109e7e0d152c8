import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  observeWindowOffset,
  observeWindowRect,
  Virtualizer,
  type VirtualizerOptions,
  windowScroll,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useLayoutEffect, useReducer, useState } from "preact/hooks";

/** How far below the begin of the page an element is, whatever was drawn above it last. */
export function useTop(element: RefObject<HTMLElement>): number {
  const [topPx, setTop] = useState(0);
  useLayoutEffect(() => {
    const top = (element.current?.getBoundingClientRect().top ?? 0) + window.scrollY;
    if (Math.abs(top - topPx) > 1) setTop(top);
  });
  return topPx;
}

/** Rows of any height of which those alone are drawn that the window shows. `margin` is what stands above the list. */
export function useWindowRows(options: {
  count: number;
  estimate: (at: number) => number;
  margin: number;
  keyOf?: (at: number) => string | number;
}): Virtualizer<Window, HTMLElement> {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const full: VirtualizerOptions<Window, HTMLElement> = {
    count: options.count,
    estimateSize: options.estimate,
    scrollMargin: options.margin,
    overscan: 8,
    initialOffset: () => window.scrollY,
    getScrollElement: () => window,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll,
    onChange: () => redraw(undefined),
    ...(options.keyOf ? { getItemKey: options.keyOf } : {}),
  };
  const [rows] = useState(() => new Virtualizer<Window, HTMLElement>(full));
  rows.setOptions(full);
  useLayoutEffect(() => rows._didMount(), [rows]);
  useLayoutEffect(() => rows._willUpdate());
  return rows;
}

/** The same for a box that scrolls by itself. */
export function useBoxRows(options: {
  count: number;
  estimate: (at: number) => number;
  box: () => HTMLElement | null;
  keyOf?: (at: number) => string | number;
}): Virtualizer<HTMLElement, HTMLElement> {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const full: VirtualizerOptions<HTMLElement, HTMLElement> = {
    count: options.count,
    estimateSize: options.estimate,
    overscan: 8,
    getScrollElement: options.box,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => redraw(undefined),
    ...(options.keyOf ? { getItemKey: options.keyOf } : {}),
  };
  const [rows] = useState(() => new Virtualizer<HTMLElement, HTMLElement>(full));
  rows.setOptions(full);
  useLayoutEffect(() => rows._didMount(), [rows]);
  useLayoutEffect(() => rows._willUpdate());
  return rows;
}
