/// <reference types="vitest/config" />
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const LICENCE = /^(licen[cs]e|copying|notice)/i;

/** The folder of the package that a module belongs to; "" for our own modules. */
function packageOf(module: string): string {
  if (!module.includes("node_modules")) return "";
  let folder = dirname(module.replace(/^\0/, "").split("?")[0] ?? "");
  while (folder.includes("node_modules")) {
    const file = join(folder, "package.json");
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name) return folder;
    folder = dirname(folder);
  }
  return "";
}

/** What the licences of a package say, under its name and version. */
function licenceOf(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((name) => LICENCE.test(name));
  const texts = files.map((name) => readFileSync(join(folder, name), "utf8").trim());
  return `${about.name} ${about.version} (${about.license ?? "no licence named"})\n\n${texts.join("\n\n")}`;
}

/** Writes the licences of all packages that are in the build beside it. */
function licences(): Plugin {
  return {
    name: "licences",
    generateBundle(_, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        for (const module of chunk.type === "chunk" ? Object.keys(chunk.modules) : []) {
          folders.add(packageOf(module));
        }
      }
      // Style sheets are no modules of a chunk once they are extracted.
      for (const module of this.getModuleIds()) if (module.endsWith(".css")) folders.add(packageOf(module));
      folders.delete("");
      const source = `${[...folders]
        .sort()
        .map(licenceOf)
        .join(`\n\n${"-".repeat(78)}\n\n`)}\n`;
      this.emitFile({ type: "asset", fileName: "licences.txt", source });
    },
  };
}

export default defineConfig({
  base: "./",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [licences()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
