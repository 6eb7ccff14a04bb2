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
