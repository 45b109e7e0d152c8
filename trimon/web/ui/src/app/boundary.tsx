import { Component, type ComponentChildren } from "preact";
import { messageOf } from "../api/client";

/** Says that a page failed, instead of an empty window. */
export class ErrorBoundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state = { error: undefined as unknown };

  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidCatch(error: unknown) {
    console.error(error);
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div class="notice bad" role="alert">
        <strong>This page failed.</strong> {messageOf(this.state.error)}
        <button type="button" onClick={() => this.setState({ error: undefined })}>
          Try again
        </button>
      </div>
    );
  }
}
