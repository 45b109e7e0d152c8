import { unreachable } from "../state/comeback";
import { prefix } from "../state/server";
import { misshapen } from "./shapes";

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

/** An answer that is an error, or none at all (status 0). */
export class RequestError extends Error {
  readonly kind: string;
  readonly status: number;
  constructor(message: string, kind: string, status: number) {
    super(message);
    this.name = "RequestError";
    this.kind = kind;
    this.status = status;
  }
}

export type Parameters = Record<string, string | number | boolean | undefined | readonly string[]>;

/** Parameters as they stand in a URL or a form; those that are undefined are left out. */
export function encoded(parameters: Parameters): URLSearchParams {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const each of value) out.append(name, each);
    else out.append(name, String(value));
  }
  return out;
}

const ANSWER_BYTES_MAX = 200 * 2 ** 20;

interface Options {
  signal?: AbortSignal | undefined;
  /** As a form in a POST: for long expressions, and for what changes something. */
  post?: boolean;
  /** Sent as it is, with the parameters in the URL. */
  body?: string;
  /** A person asks this; all else the page asks by itself, which the list of queries tells apart. */
  byPerson?: boolean;
}

async function response(path: string, parameters: Parameters, options: Options): Promise<Response> {
  const form = encoded(parameters);
  const text = form.toString();
  const asForm = options.post === true && options.body === undefined;
  const url = `${prefix}${path}${text && !asForm ? `?${text}` : ""}`;
  const init: RequestInit = { cache: "no-store", credentials: "same-origin", signal: options.signal ?? null };
  if (!options.byPerson) init.headers = { "X-Trimon-Page": "1" };
  if (options.post || options.body !== undefined) {
    init.method = "POST";
    init.body = options.body ?? form;
  }
  try {
    const found = await fetch(url, init);
    unreachable.value = false;
    return found;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    unreachable.value = true;
    throw new RequestError("The server cannot be reached. Is it still running?", "unreachable", 0);
  }
}

function failed(text: string, found: Response): RequestError {
  try {
    const body = JSON.parse(text);
    if (typeof body?.error === "string")
      return new RequestError(body.error, String(body.errorType), found.status);
  } catch {
    // Not every error is JSON: proxies have pages of their own.
  }
  const short = text.trim().slice(0, 500);
  return new RequestError(
    `${found.status} ${found.statusText}${short ? `: ${short}` : ""}`,
    "http",
    found.status,
  );
}

/** The text of an answer. Browsers have no text of more than half a gigabyte. */
async function textOf(found: Response): Promise<string> {
  const size = Number(found.headers.get("Content-Length") ?? 0);
  if (size > ANSWER_BYTES_MAX) {
    await found.body?.cancel();
    throw new RequestError(
      `The answer has ${Math.round(size / 2 ** 20)} MiB, more than this page can show. Ask for fewer series, or coarser steps.`,
      "too large",
      found.status,
    );
  }
  return found.text();
}

/** Asks the API; what is in the envelope. Throws RequestError, and AbortError where the signal ended it. */
export async function ask<T>(
  path: string,
  parameters: Parameters = {},
  options: Options = {},
): Promise<Answer<T>> {
  const found = await response(`/api/v1${path}`, parameters, options);
  const text = await textOf(found);
  if (!found.ok) throw failed(text, found);
  const body = envelope(text, path, found.status);
  if (body.status !== "success") throw failed(text, found);
  const wrong = misshapen(path, body.data);
  if (wrong) throw malformed(path, wrong, found.status);
  return { data: body.data as T, warnings: texts(body.warnings), infos: texts(body.infos) };
}

interface Envelope {
  status: string;
  data?: unknown;
  warnings?: unknown;
  infos?: unknown;
}

function malformed(path: string, wrong: string, status: number): RequestError {
  return new RequestError(
    `The answer of /api/v1${path} is not what this page understands: ${wrong}. Is there something between this page and the server, or has it been updated?`,
    "malformed",
    status,
  );
}

function envelope(text: string, path: string, status: number): Envelope {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw malformed(path, "it is no JSON", status);
  }
  if (typeof body === "object" && body !== null && "status" in body && typeof body.status === "string")
    return body as Envelope;
  throw malformed(path, "it has no status", status);
}

function texts(found: unknown): string[] {
  return Array.isArray(found) ? found.map(String) : [];
}

/** Asks for something without an envelope, as text. */
export async function askText(
  path: string,
  parameters: Parameters = {},
  options: Options = {},
): Promise<string> {
  const found = await response(path, parameters, options);
  const text = await found.text();
  if (!found.ok) throw failed(text, found);
  return text;
}

/** What to say of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
