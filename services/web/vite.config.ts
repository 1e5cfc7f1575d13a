import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "chrome100", // domestic Chromium forks lag; see README, decisions
    cssTarget: "chrome100",
    assetsInlineLimit: 0, // the content security policy allows files only
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": process.env["LIANDONG_DASHBOARD"] ?? "http://127.0.0.1:8781" } },
});
