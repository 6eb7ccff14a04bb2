// Dark colours by the reader's own setting: a class for Swagger UI, a theme for ReDoc.
"use strict";

// The page of the package names no language.
document.documentElement.lang = "en";

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const showColours = () => document.documentElement.classList.toggle("dark-mode", prefersDark.matches);
prefersDark.addEventListener("change", showColours);
showColours();

const DARK = {
    colors: {
        primary: { main: "#a78bfa" },
        text: { primary: "#f4f4f5", secondary: "#a1a1aa" },
        border: { dark: "#2e2e36", light: "#2e2e36" },
        gray: { 50: "#1a1a1f", 100: "#2e2e36" },
        responses: {
            success: { color: "#86efac", backgroundColor: "#12261a", tabTextColor: "#86efac" },
            error: { color: "#fca5a5", backgroundColor: "#3b1518", tabTextColor: "#fca5a5" },
            info: { color: "#7dd3fc", backgroundColor: "#10222e", tabTextColor: "#7dd3fc" },
        },
    },
    schema: { nestedBackground: "#1a1a1f", linesColor: "#52525b", typeNameColor: "#a1a1aa", typeTitleColor: "#d4d4d8" },
    sidebar: { backgroundColor: "#1a1a1f", textColor: "#f4f4f5", activeTextColor: "#c4b5fd" },
    rightPanel: { backgroundColor: "#0d0d10" },
    codeBlock: { backgroundColor: "#1a1a1f" },
    typography: { code: { color: "#fda4af", backgroundColor: "#2e2350" }, links: { color: "#a78bfa", visited: "#a78bfa" } },
};
if (prefersDark.matches) document.querySelector("redoc")?.setAttribute("theme", JSON.stringify(DARK));

// Swagger UI draws its list of servers late, and gives it no name.
new MutationObserver((_, observer) => {
    const servers = document.getElementById("servers");
    if (!servers) return;
    servers.ariaLabel = "Server";
    observer.disconnect();
}).observe(document.documentElement, { childList: true, subtree: true });
