import { afterEach, expect, it, vi } from "vitest";
import { ask, RequestError } from "./client";

afterEach(() => vi.unstubAllGlobals());

function answers(text: string, status = 200): void {
  vi.stubGlobal("fetch", async () => new Response(text, { status }));
}

async function failureOf(path: string, text: string): Promise<RequestError> {
  answers(text);
  const found = await ask(path).catch((error: unknown) => error);
  expect(found).toBeInstanceOf(RequestError);
  return found as RequestError;
}

it("takes no answer that is none of the API", async () => {
  for (const text of ["null", "{}", "[]", "7", '"x"', "<html></html>", ""])
    expect((await failureOf("/rules", text)).kind).toBe("malformed");
});

it("takes no data that a page could not use, and says what is wrong with it", async () => {
  const told: [string, string, string][] = [
    ["/rules", "null", "nothing"],
    ["/rules", "{}", "groups"],
    ["/rules", '{"groups":null}', "groups"],
    ["/rules", '{"groups":[null]}', "entry 0"],
    ["/notifications", "{}", "list"],
    ["/format_query", "1", "number"],
    ["/query", '{"resultType":"vector","result":7}', "result"],
    ["/status/runtimeinfo", "[]", "list"],
  ];
  for (const [path, data, words] of told)
    expect((await failureOf(path, `{"status":"success","data":${data}}`)).message).toContain(words);
});

it("gives what is well formed, with warnings only where they are a list", async () => {
  answers('{"status":"success","data":{"groups":[]},"warnings":"x","infos":["i"]}');
  expect(await ask("/rules")).toEqual({ data: { groups: [] }, warnings: [], infos: ["i"] });
  answers('{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}');
  expect((await ask("/query")).warnings).toEqual([]);
});

it("says the server's own error as it is", async () => {
  answers('{"status":"error","errorType":"bad_data","error":"no such thing"}', 400);
  await expect(ask("/rules")).rejects.toThrow("no such thing");
  answers("null", 502);
  await expect(ask("/rules")).rejects.toThrow("502");
});
