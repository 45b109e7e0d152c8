import { type Asked, useAsked } from "../../../api/asked";
import { ask } from "../../../api/client";
import type { Expression } from "./syntax";

/** An expression taken apart by the server. */
export function useParsed(text: string): Asked<Expression> {
  return useAsked(
    async (signal) => (await ask<Expression>("/parse_query", { query: text }, { signal, post: true })).data,
    [text],
  );
}
