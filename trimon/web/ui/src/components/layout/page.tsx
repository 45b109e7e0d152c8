import type { ComponentChildren } from "preact";

/** The head of a page, what can be done on it, and its content. */
export function Page({
  title,
  about,
  actions,
  children,
}: {
  title: string;
  about?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <article class="page">
      <div class="page-head">
        <div>
          <h1>{title}</h1>
          {about ? <p class="muted about">{about}</p> : null}
        </div>
        {actions ? <div class="page-actions">{actions}</div> : null}
      </div>
      {children}
    </article>
  );
}

/** A framed part of a page. */
export function Panel({
  title,
  actions,
  children,
}: {
  title?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="panel">
      {title || actions ? (
        <div class="panel-head">
          <h2>{title}</h2>
          {actions ? <div class="panel-actions">{actions}</div> : null}
        </div>
      ) : null}
      {children}
    </section>
  );
}

/** Names and values below each other. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
