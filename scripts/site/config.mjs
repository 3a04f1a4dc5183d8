/** How VitePress builds the site. scripts/site.mjs copies this file next to the pages. */
import { readFileSync } from "node:fs";
import { slug } from "github-slugger";

const sidebar = JSON.parse(readFileSync(new URL("sidebar.json", import.meta.url), "utf8"));

export default {
  title: "jwtgate",
  description:
    "Istio's RequestAuthentication and AuthorizationPolicy inside any Envoy, as one WebAssembly filter.",
  lang: "en",
  // Pages are files with an ending, so that any web server can host them.
  cleanUrls: false,
  head: [["meta", { name: "referrer", content: "no-referrer" }]],
  markdown: {
    // The anchors that GitHub makes, which the pages' links name.
    anchor: { slugify: (heading) => slug(heading) },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    nav: [
      { text: "Five minutes", link: "/docs/start" },
      { text: "Documentation", link: "/docs/" },
      { text: "Console", link: "/console/index.html", target: "_self" },
      { text: "Changelog", link: "/CHANGELOG" },
      { text: "Security", link: "/SECURITY" },
    ],
    sidebar: [...sidebar, { text: "The project", items: [{ text: "Contributing", link: "/CONTRIBUTING" }] }],
  },
};
