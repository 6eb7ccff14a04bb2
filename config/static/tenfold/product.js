// The page of a product: options by name and value, variants made of combinations, and pictures that are dropped.
"use strict";

(() => {
    const element = (tag, properties = {}, ...children) => {
        const made = Object.assign(document.createElement(tag), properties);
        made.append(...children);
        return made;
    };
    const readOptions = (area) => {
        try {
            const value = JSON.parse(area.value || "{}");
            return value && typeof value === "object" && !Array.isArray(value) ? value : null;
        } catch {
            return null;
        }
    };

    // -- options: the field stays, hidden, and has the JSON

    const showPairs = (area) => {
        if (area.dataset.shown || area.name.includes("__prefix__")) return;
        const options = readOptions(area);
        if (options === null) return; // what somebody wrote by hand is shown as it is
        area.dataset.shown = "1";
        const pairs = element("div", { className: "tenfold-pairs" });
        const write = () => {
            const value = {};
            for (const pair of pairs.querySelectorAll(".tenfold-pair")) {
                const [name, choice] = [...pair.querySelectorAll("input")].map((input) => input.value.trim());
                if (name && choice) value[name] = choice;
            }
            area.value = JSON.stringify(value);
            area.dispatchEvent(new Event("change", { bubbles: true }));
        };
        const addPair = (name = "", choice = "") => {
            const inputs = [["option, such as Size", name], ["value, such as M", choice]].map(([label, value]) =>
                element("input", { className: "tenfold-box", value, oninput: write, ariaLabel: label, placeholder: label.split(" ").pop() }),
            );
            const remove = element("button", { type: "button", textContent: "×", ariaLabel: "Remove this option" });
            const pair = element("div", { className: "tenfold-pair" }, ...inputs, remove);
            remove.onclick = () => { pair.remove(); write(); more.focus(); };
            pairs.insertBefore(pair, more);
            return inputs[0];
        };
        const more = element("button", { type: "button", className: "tenfold-more", textContent: "+ option", onclick: () => addPair().focus() });
        pairs.append(more);
        const draw = () => {
            pairs.querySelectorAll(".tenfold-pair").forEach((pair) => pair.remove());
            for (const [name, choice] of Object.entries(readOptions(area) || {})) addPair(name, String(choice));
        };
        draw();
        area.redraw = draw;
        area.hidden = true;
        area.style.display = "none";
        area.after(pairs);
    };

    // -- the matrix

    const rows = () => [...document.querySelectorAll('textarea[name^="variants-"][name$="-options"]')].filter((area) => !area.name.includes("__prefix__"));
    const field = (area, name) => document.getElementsByName(area.name.replace(/options$/, name))[0];
    const code = (text) => text.normalize("NFD").replace(/[^\p{L}\p{N}]+/gu, "").toUpperCase().slice(0, 8);
    const same = (one, other) => Object.keys(one).length === Object.keys(other).length && Object.entries(one).every(([name, value]) => String(other[name]) === value);

    const addRow = async () => {
        const before = rows();
        document.querySelector("#variants-group .add-row a, #variants-group a.add-row, #variants-group .add-row button")?.click();
        await new Promise((resolve) => setTimeout(resolve, 0));
        return rows().find((area) => !before.includes(area));
    };
    const set = (input, value) => {
        if (!input) return;
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    };

    const makeVariants = async (panel) => {
        const kinds = [...panel.querySelectorAll("[data-kind]")].map((kind) => {
            const [name, values] = [...kind.querySelectorAll("input")].map((input) => input.value);
            return [name.trim(), [...new Set(values.split(",").map((value) => value.trim()).filter(Boolean))]];
        }).filter(([name, values]) => name && values.length);
        const price = panel.querySelector("[data-price]").value.trim();
        const base = document.querySelector('input[name="sku"]')?.value.trim() || "";
        let made = 0;
        const combinations = kinds.reduce((all, [name, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))), [{}]);
        const report = panel.querySelector("[data-made]");
        if (!kinds.length) {
            report.textContent = "Name an option and its values first.";
            return;
        }
        for (const options of combinations) {
            const known = rows();
            if (known.some((area) => same(options, readOptions(area) || {}))) continue;
            // A row that nobody has filled in is taken first.
            const area = known.find((one) => !field(one, "sku")?.value && !field(one, "id")?.value && !Object.keys(readOptions(one) || {}).length) || (await addRow());
            if (!area) break;
            showPairs(area);
            area.value = JSON.stringify(options);
            area.redraw?.();
            set(field(area, "sku"), [base, ...Object.values(options).map(code)].filter(Boolean).join("-"));
            if (price && !field(area, "price").value) set(field(area, "price"), price);
            made += 1;
        }
        report.textContent = made ? `${made} added below. Look at their SKUs, then save.` : "There are variants of all of these.";
    };

    const showMatrix = () => {
        const template = document.getElementById("tenfold-matrix");
        const group = document.getElementById("variants-group");
        if (!template || !group || !document.querySelector('[name="variants-TOTAL_FORMS"]')) return;
        const panel = template.content.firstElementChild.cloneNode(true);
        const kinds = panel.querySelector("[data-kinds]");
        const names = [...new Set(rows().flatMap((area) => Object.keys(readOptions(area) || {})))];
        for (const name of [...names, "", ""].slice(0, Math.max(2, names.length))) {
            const values = [...new Set(rows().map((area) => (readOptions(area) || {})[name]).filter(Boolean))].join(", ");
            kinds.append(element("div", {},
                element("input", { className: "tenfold-box", value: name, placeholder: "Option, such as Size", ariaLabel: "Option" }),
                element("input", { className: "tenfold-box", value: values, placeholder: "Values, such as S, M, L", ariaLabel: "Its values, separated by commas" })));
            kinds.lastElementChild.dataset.kind = "";
        }
        panel.querySelector("[data-price]").value = rows().map((area) => field(area, "price")?.value).find(Boolean) || "";
        panel.querySelector("[data-make]").onclick = () => makeVariants(panel);
        panel.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
            event.preventDefault();
            makeVariants(panel);
        });
        group.prepend(panel);
    };

    // -- pictures

    // What can't be a picture is told at once: the server would refuse the whole form, which loses its files.
    const leaveOut = (label, input) => {
        const isPicture = (file) => !file.type || input.accept.split(",").includes(file.type);
        const kept = new DataTransfer();
        [...input.files].filter(isPicture).forEach((file) => kept.items.add(file));
        const others = [...input.files].filter((file) => !isPicture(file)).map((file) => file.name).join(", ");
        if (others) input.files = kept.files;
        label.querySelector("[data-left-out]").textContent = others && `Left out, since it is no JPEG, PNG or WebP: ${others}.`;
    };

    // unfold's own listener looks for a text field beside each file input.
    document.addEventListener("change", (event) => {
        const label = event.target.closest(".tenfold-drop");
        if (!label) return;
        event.stopPropagation();
        leaveOut(label, event.target);
        label.querySelector("[data-sent]")?.remove();
        const pictures = [...event.target.files].map((file) => element("img", { src: URL.createObjectURL(file), alt: file.name, title: file.name }));
        label.querySelector(".tenfold-chosen").replaceChildren(...pictures);
    }, true);

    const watchDrop = (label) => {
        const input = label.querySelector("input[type=file]");
        for (const name of ["dragenter", "dragover"]) label.addEventListener(name, (event) => { event.preventDefault(); label.classList.add("over"); });
        for (const name of ["dragleave", "drop"]) label.addEventListener(name, () => label.classList.remove("over"));
        label.addEventListener("drop", (event) => {
            event.preventDefault();
            if (!event.dataTransfer.files.length) return;
            const all = new DataTransfer();
            for (const file of [...input.files, ...event.dataTransfer.files]) all.items.add(file);
            input.files = all.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        });
    };

    // -- order: the arrows on a row's handle do what dragging does

    const moved = element("span", { role: "status", className: "sr-only" });
    const moveRow = (handle, isUp) => {
        const row = handle.closest("tbody");
        const other = isUp ? row.previousElementSibling : row.nextElementSibling;
        if (!other?.classList.contains("original")) return;
        other[isUp ? "before" : "after"](row);
        sortRecords({ from: row.parentNode }); // unfold's, which numbers the rows anew
        handle.focus();
        const all = [...row.parentNode.querySelectorAll("tbody.original")];
        moved.textContent = `Now ${all.indexOf(row) + 1} of ${all.length}.`;
    };
    const watchHandle = (handle) => {
        Object.assign(handle, { tabIndex: 0, role: "button", ariaLabel: "Move this row by arrow up and arrow down" });
        handle.addEventListener("keydown", (event) => {
            if (!["ArrowUp", "ArrowDown"].includes(event.key)) return;
            event.preventDefault();
            moveRow(handle, event.key === "ArrowUp");
        });
    };

    // "Take theirs" writes all attributes into the JSON; the inputs above it take their own.
    const spreadAttributes = (area) => area.addEventListener("change", () => {
        const values = readOptions(area);
        if (!values) return;
        for (const input of document.querySelectorAll(`[name^="${area.name}__"]`)) {
            const name = input.name.slice(area.name.length + 2);
            if (name in values) input.value = String(values[name]);
            delete values[name];
        }
        area.value = Object.keys(values).length ? JSON.stringify(values, null, 2) : "";
    });

    document.addEventListener("DOMContentLoaded", () => {
        rows().forEach(showPairs);
        showMatrix();
        document.querySelectorAll(".tenfold-drop").forEach(watchDrop);
        document.querySelectorAll("[x-sort\\:handle]").forEach(watchHandle);
        document.body.append(moved);
        document.querySelectorAll("textarea[data-attributes]").forEach(spreadAttributes);
    });
    document.addEventListener("formset:added", () => rows().forEach(showPairs));
})();
