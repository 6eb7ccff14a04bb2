// unfold hides the sidebar up to 1,280 pixels, a common width; its own styles have room for it from there on.
"use strict";

const WIDE = 1280;

document.addEventListener("alpine:init", () => {
    const build = window.theme;
    const isOpen = () => innerWidth >= WIDE && localStorage.getItem("sidebarOpen") !== "0";
    window.theme = (...settings) => {
        const data = build(...settings);
        data.sidebarOpen = isOpen;
        data.sidebarToggle = function () {
            this.sidebarOpen = !this.sidebarOpen;
            if (innerWidth >= WIDE) localStorage.setItem("sidebarOpen", this.sidebarOpen ? "1" : "0");
        };
        data.themeBindings["x-resize.window"] = function () {
            this.sidebarOpen = isOpen();
        };
        return data;
    };
});

// Beside an error that says what somebody else set: puts their value into the field.
document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theirs]");
    const field = button && document.getElementById(button.dataset.field);
    if (!field) return;
    const { theirs, label } = button.dataset;
    if (field.type === "checkbox") field.checked = theirs === "True";
    else if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === theirs)) {
        field.add(new Option(label, theirs, true, true));
    } else field.value = theirs;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
});

// -- names for screen readers, where Django, unfold and select2 give none (axe: label, aria-input-field-name)

// Without icons, whose text is the name of a picture.
const readText = (node) => {
    const copy = node?.cloneNode(true);
    copy?.querySelectorAll(".material-symbols-outlined").forEach((icon) => icon.remove());
    return (copy?.textContent || "").replace(/\s+/g, " ").trim().replace(/\s*\*$/, "");
};

// A field of a table is called by its column, and a part of a date by its whole and its placeholder.
const findName = (field) => {
    const cell = field.closest("td");
    const heading = cell && cell.closest("table")?.querySelector(`thead th:nth-child(${cell.cellIndex + 1})`);
    const row = field.closest(".form-row, fieldset, .field-row");
    const part = field.placeholder || field.title || "";
    return readText(heading) || [readText(row?.querySelector("label, legend")), part].filter(Boolean).join(": ");
};

const nameFields = () => {
    for (const field of document.querySelectorAll("main input, main select, main textarea, form input, form select, form textarea")) {
        if (field.type === "hidden" || field.labels?.length || field.ariaLabel || field.getAttribute("aria-labelledby")) continue;
        const name = findName(field);
        if (name) field.ariaLabel = name;
    }
    for (const box of document.querySelectorAll(".select2-container")) {
        const select = box.previousElementSibling;
        const name = select?.matches?.("select") && (select.ariaLabel || readText(select.labels?.[0]) || findName(select));
        if (!name) continue;
        for (const part of box.querySelectorAll(".select2-selection, .select2-selection__rendered[role], .select2-search__field")) part.ariaLabel = name;
    }
    for (const icon of document.querySelectorAll("a .material-symbols-outlined, button .material-symbols-outlined")) {
        if (readText(icon.closest("a, button"))) icon.ariaHidden = "true";
    }
    for (const hint of document.querySelectorAll("span.help-tooltip[aria-label]:not([role])")) hint.setAttribute("role", "img");
    for (const region of document.querySelectorAll(".overflow-x-auto:not([tabindex])")) if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
};

// -- pages of jobs: while one isn't over, its new state comes into the page. A reload would take the focus, and the ticks.

const REFRESH_MS = 3000;
const listTicks = (page) => [...page.querySelectorAll("[name=_selected_action]")];
const listCells = (page) => [...page.querySelectorAll("#content .readonly, #job-state, #result_list tbody td")].filter((cell) => !listTicks(cell).length);
const showState = (page) => {
    const [cells, fresh] = [document, page].map(listCells);
    const [rows, freshRows] = [document, page].map((one) => listTicks(one).map((tick) => tick.value).join());
    if (cells.length !== fresh.length || rows !== freshRows) {
        if (!listTicks(document).some((tick) => tick.checked)) location.reload();
        return;
    }
    cells.forEach((cell, number) => {
        const isRead = cell.contains(document.activeElement) && readText(cell) === readText(fresh[number]);
        if (!isRead && cell.innerHTML !== fresh[number].innerHTML) cell.replaceChildren(...fresh[number].childNodes);
    });
};
const follow = async () => {
    if (!document.querySelector("[data-refresh]")) return;
    const answer = document.hidden ? null : await fetch(location.href).catch(() => null);
    if (answer?.redirected) return location.reload(); // signed out
    if (answer?.ok) showState(new DOMParser().parseFromString(await answer.text(), "text/html"));
    setTimeout(follow, REFRESH_MS);
};
addEventListener("load", () => setTimeout(follow, REFRESH_MS));

// -- where the keyboard begins

const findShown = (selector) => [...document.querySelectorAll(selector)].find((node) => node.checkVisibility());
// At the first error of a form that comes back, else where `autofocus` says: a browser looks for that too early, while
// unfold still hides the page.
const beginThere = () => {
    if (document.activeElement !== document.body) return;
    // The sentence of one table comes before the one above the page, which only says that there is an error.
    const wanted = ["[aria-invalid=true]", "div.errornote", ".errornote, #content [role=alert]:not(:empty)", "#content [autofocus]"];
    const start = wanted.map(findShown).find(Boolean);
    if (!start) return;
    if (start.matches("div, p, span")) start.tabIndex = -1;
    start.focus();
};
// Some thirty links of the sidebar come before each page.
addEventListener("DOMContentLoaded", () => {
    const content = document.getElementById("content");
    if (!content || window.name) return; // a popup has no sidebar
    const skip = Object.assign(document.createElement("a"), { href: "#content", className: "tenfold-skip", textContent: "Skip to the page" });
    skip.onclick = (event) => {
        event.preventDefault();
        content.tabIndex = -1;
        content.focus();
    };
    document.body.prepend(skip);
});

// After the scripts that make their parts once the page is there, and when a row is added.
addEventListener("load", () => {
    setTimeout(() => { nameFields(); beginThere(); });
    document.addEventListener("formset:added", () => setTimeout(nameFields));
});
