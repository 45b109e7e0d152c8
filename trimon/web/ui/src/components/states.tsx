import type { ComponentChildren } from "preact";
import type { Asked } from "../api/asked";
import { messageOf, RequestError } from "../api/client";

/** Nothing to show, why, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children ? <div>{children}</div> : null}
    </div>
  );
}

const ADVICE: Record<number, string> = {
  0: "",
  401: "Sign in, or use a token.",
  403: "You may not see this: it is for this machine, or needs another role.",
  404: "This server does not have it.",
  503: "The server is starting, stopping, or has too much to do; it can be asked again.",
};

/** A text with an end, so that another sentence may follow. */
function sentence(text: string): string {
  return /[.!?]\s*$/.test(text) ? text : `${text}.`;
}

export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const advice = error instanceof RequestError ? ADVICE[error.status] : undefined;
  return (
    <div class="notice bad" role="alert">
      <span>
        {sentence(messageOf(error))} {advice}
      </span>
      {again ? (
        <button type="button" onClick={again}>
          Ask again
        </button>
      ) : null}
    </div>
  );
}

/** Whether a failure is that there is no server, which the notice on top of the page says already. */
function isToldAbove(error: unknown): boolean {
  return error instanceof RequestError && error.status === 0;
}

/** What was asked for: a bar while it is waited for, an error above what is known from before, and the data. */
export function Loaded<T>({
  asked,
  children,
}: {
  asked: Asked<T>;
  children: (data: T) => ComponentChildren;
}) {
  return (
    <>
      {asked.error === undefined || isToldAbove(asked.error) ? null : (
        <Failure error={asked.error} again={asked.again} />
      )}
      {asked.data !== undefined ? (
        children(asked.data)
      ) : asked.error === undefined ? (
        <Loading />
      ) : isToldAbove(asked.error) ? (
        <p class="muted">Not known before the server answers.</p>
      ) : null}
    </>
  );
}

/** Appears only when an answer takes longer than a moment. */
export function Loading() {
  return (
    <div class="loading" role="status" aria-live="polite">
      <span class="visually-hidden">Loading</span>
    </div>
  );
}
