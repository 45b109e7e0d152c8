import type { ComponentType } from "preact";
import type { Permission } from "../state/server";

export interface Route {
  path: string;
  /** What the navigation and the document's title say. */
  title: string;
  group: "Ask" | "Watch" | "Server";
  icon: string;
  /** Who may not do this is not offered the page. */
  needs?: Permission;
  /** An agent has no queries, rules and blocks, so it is not offered. */
  notOfAnAgent?: boolean;
  /** It shows nothing before the log has been read. */
  needsSamples?: boolean;
  page: () => Promise<{ default: ComponentType }>;
}

/** Every page: its path is Prometheus' where Prometheus has it. The server has the same paths in `web/pages.py`. */
export const routes: readonly Route[] = [
  {
    path: "/query",
    title: "Query",
    group: "Ask",
    icon: "query",
    needsSamples: true,
    notOfAnAgent: true,
    page: () => import("../pages/query/page"),
  },
  {
    path: "/explore",
    title: "Explore",
    group: "Ask",
    icon: "explore",
    needsSamples: true,
    notOfAnAgent: true,
    page: () => import("../pages/explore/page"),
  },
  {
    path: "/alerts",
    title: "Alerts",
    group: "Watch",
    icon: "alert",
    needsSamples: true,
    notOfAnAgent: true,
    page: () => import("../pages/alerts/alerts"),
  },
  {
    path: "/rules",
    title: "Rules",
    group: "Watch",
    icon: "rules",
    needsSamples: true,
    notOfAnAgent: true,
    page: () => import("../pages/alerts/rules"),
  },
  {
    path: "/targets",
    title: "Targets",
    group: "Watch",
    icon: "target",
    needsSamples: true,
    page: () => import("../pages/targets/targets"),
  },
  {
    path: "/service-discovery",
    title: "Service discovery",
    group: "Watch",
    icon: "discovery",
    page: () => import("../pages/targets/discovery"),
  },
  {
    path: "/alertmanager-discovery",
    title: "Alertmanagers",
    group: "Watch",
    icon: "bell",
    notOfAnAgent: true,
    page: () => import("../pages/alerts/alertmanagers"),
  },
  {
    path: "/actors",
    title: "Actors",
    group: "Server",
    icon: "actors",
    needs: "debug",
    page: () => import("../pages/actors/page"),
  },
  {
    path: "/queries",
    title: "Queries",
    group: "Server",
    icon: "clock",
    needs: "queries",
    notOfAnAgent: true,
    page: () => import("../pages/status/queries"),
  },
  {
    path: "/tsdb-status",
    title: "Storage",
    group: "Server",
    icon: "storage",
    needsSamples: true,
    notOfAnAgent: true,
    page: () => import("../pages/status/storage"),
  },
  {
    path: "/remote-write",
    title: "Remote write",
    group: "Server",
    icon: "download",
    page: () => import("../pages/status/remotewrite"),
  },
  {
    path: "/status",
    title: "Status",
    group: "Server",
    icon: "status",
    page: () => import("../pages/status/runtime"),
  },
  {
    path: "/problems",
    title: "Problems",
    group: "Server",
    icon: "problem",
    needs: "debug",
    page: () => import("../pages/status/problems"),
  },
  {
    path: "/config",
    title: "Configuration",
    group: "Server",
    icon: "config",
    page: () => import("../pages/status/config"),
  },
  {
    path: "/plan",
    title: "Plan a change",
    group: "Server",
    icon: "plan",
    needs: "plan",
    page: () => import("../pages/plan/page"),
  },
  {
    path: "/flags",
    title: "Flags",
    group: "Server",
    icon: "flag",
    page: () => import("../pages/status/flags"),
  },
];
