// The page of a new import: shows what the chosen file would do, lets columns be read as other fields, and starts it.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const guide = document.getElementById("import-guide");
    const form = guide && document.querySelector("#importjob_form");
    const upload = form && form.querySelector("[name=upload]");
    if (!upload) return;
    const paste = document.getElementById("import-paste");
    // Beside the file, before the options that few files need.
    upload.closest(".field-upload, .form-row")?.after(paste, guide);
    const part = (name) => guide.querySelector(`[data-${name}]`);
    const fields = guide.dataset.fields.split(",");
    const OPTIONS = ["format", "encoding", "decimal", "category_separator", "weight_unit", "status", "missing"];
    const FLAGS = ["update_only", "create_only"];
    const headers = { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value, Accept: "application/json" };
    // As the server has them: one's own, and those that others share.
    let recipes = [];
    // Which column is read as which field, as somebody chose: {"Artikel": "title"}.
    let chosen = {};

    const element = (tag, text, properties = {}) => Object.assign(document.createElement(tag), { textContent: text }, properties);
    const table = (heads, rows) => {
        const made = element("table", "", { className: "w-full text-left" });
        const line = (cells, tag) => {
            const row = document.createElement("tr");
            for (const cell of cells) {
                const box = element(tag, "", { className: "px-2 py-1 border-b border-base-200 dark:border-base-800 whitespace-nowrap" });
                box.append(cell ?? "");
                row.append(box);
            }
            return row;
        };
        made.append(line(heads, "th"), ...rows.map((cells) => line(cells, "td")));
        return made;
    };

    const writeMap = () => {
        form.querySelector("[name=map]").value = Object.entries(chosen).map(([column, field]) => `${field}=${column}`).join(",");
    };

    const find = (name) => form.querySelector(`[name=${name === "status" ? "new_status" : name}]`);
    // The options that somebody chose, by name.
    const readOptions = () => ({
        ...Object.fromEntries(["map", ...OPTIONS].map((name) => [name, find(name)?.value]).filter(([, value]) => value)),
        ...Object.fromEntries(FLAGS.filter((name) => find(name)?.checked).map((name) => [name, true])),
    });
    const useOptions = (options) => {
        for (const name of OPTIONS) if (find(name)) find(name).value = options[name] ?? "";
        for (const name of FLAGS) if (find(name)) find(name).checked = Boolean(options[name]);
        useMap(options.map || "");
    };
    const useMap = (map) => {
        // As the server reads it: a comma ends a pair only where the next one begins.
        const pairs = map.split(/,(?=\s*\w+=)/).filter(Boolean).map((pair) => pair.split(/=(.*)/s));
        chosen = Object.fromEntries(pairs.map(([field, column]) => [column, field.trim()]));
    };

    const showColumns = (columns, format) => {
        const isMapped = fields.length && ["csv", "ndjson", "json", "xlsx", ""].includes(format);
        part("recipes").hidden = !isMapped;
        const rows = columns.map(({ column, field }) => {
            if (!isMapped) return [column, field || "not read"];
            const select = element("select", "", { className: "tenfold-box", ariaLabel: `Field of ${column}` });
            select.append(...["", ...fields].map((name) => element("option", name || "not read", { value: name })));
            select.value = chosen[column] || (fields.includes(field) ? field : "");
            select.onchange = () => {
                for (const other of Object.keys(chosen)) if (chosen[other] === select.value) delete chosen[other];
                if (select.value) chosen[column] = select.value;
                else delete chosen[column];
                look();
            };
            return [column, select];
        });
        const name = part("columns").contains(document.activeElement) && document.activeElement.ariaLabel;
        part("columns").replaceChildren(table(["Column of the file", "Read as"], rows));
        // Who goes through the table by keyboard stays where they were.
        if (name) [...part("columns").querySelectorAll("select")].find((select) => select.ariaLabel === name)?.focus();
    };

    const showFound = (found) => {
        const counts = found.counts.products || {};
        const told = Object.entries(counts).filter(([, number]) => number).map(([what, number]) => `${number} ${what}`).join(", ");
        part("state").textContent = `Recognised as ${found.format}. Of the first ${found.rows} rows: ${told || "no products"}.`;
        showColumns(found.columns, found.format);
        const refusals = found.errors.slice(0, 20).map((one) => element("li", `Line ${one.line}: ${one.reason}`));
        const list = element("ul", "", { className: "list-disc pl-5" });
        list.append(...refusals);
        part("refused").replaceChildren(...(refusals.length ? [element("strong", `${found.errors_total} refused`), list] : []));
        const names = ["sku", "title", "price", "brand", "category", "status"];
        const rows = found.products.map((one) => [...names.map((name) => String(one[name] ?? (one.variants?.[0]?.[name] ?? ""))), String(one.variants?.length ?? "")]);
        part("products").replaceChildren(rows.length ? table([...names, "variants"], rows) : "");
        part("found").hidden = false;
        part("start").hidden = false;
        // A keyboard scrolls what it can reach.
        part("products").tabIndex = part("products").scrollWidth > part("products").clientWidth ? 0 : -1;
    };

    // A file without a column of SKUs is refused as a whole; its first line still tells the columns.
    const readHead = async (file) => {
        const [line] = (await file.slice(0, 65536).text()).replace(/^\uFEFF/, "").split(/\r?\n/);
        const sign = [";", "\t", ",", "|"].sort((one, other) => line.split(other).length - line.split(one).length)[0];
        return line.split(sign).map((name) => name.trim().replace(/^"|"$/g, "")).filter(Boolean);
    };

    let asked = 0;
    const look = async () => {
        const [file] = upload.files;
        guide.hidden = !file;
        if (!file) return;
        const number = (asked += 1);
        writeMap();
        part("state").textContent = "Looking at the file…";
        const body = new FormData();
        body.append("file", file);
        for (const [name, value] of Object.entries(readOptions())) body.append(name, value);
        let answer, found;
        try {
            answer = await fetch(guide.dataset.preview, { method: "POST", body, headers });
            found = await answer.json();
        } catch {
            part("state").textContent = "The server gave no answer: choose the file again.";
            return;
        }
        if (number !== asked) return; // something else was chosen meanwhile
        if (answer.ok) return showFound(found);
        part("state").textContent = found.errors?.[0]?.detail || `${found.detail} ${found.hint || ""}`;
        for (const name of ["refused", "products"]) part(name).replaceChildren();
        const heads = /\.(csv|tsv|txt)$/i.test(file.name) ? await readHead(file) : [];
        part("found").hidden = !heads.length;
        part("start").hidden = true;
        if (heads.length) showColumns(heads.map((column) => ({ column, field: fields.includes(column.toLowerCase()) ? column.toLowerCase() : "" })), "");
    };

    const call = async (method, end, body) => {
        const answer = await fetch(`${guide.dataset.recipes}${end}`, {
            method, headers: { ...headers, "Content-Type": "application/json" }, body: body && JSON.stringify(body),
        });
        const found = answer.status === 204 ? {} : await answer.json();
        if (!answer.ok) throw new Error(found.errors?.[0]?.detail || `${found.detail} ${found.hint || ""}`);
        return found;
    };
    const listRecipes = async (name = "") => {
        recipes = (await call("GET", "?page_size=200")).results;
        const label = (one) => (one.is_own ? one.name : `${one.name} (shared)`);
        part("recipe").replaceChildren(element("option", "none", { value: "" }), ...recipes.map((one) => element("option", label(one), { value: String(one.id) })));
        part("recipe").value = String(recipes.find((one) => one.is_own && one.name === name)?.id ?? "");
        showChosen();
    };
    const findChosen = () => recipes.find((one) => String(one.id) === part("recipe").value);
    const showChosen = () => {
        const recipe = findChosen();
        part("remove").hidden = !recipe?.is_own;
        if (!recipe?.is_own) return;
        part("recipe-name").value = recipe.name;
        part("share").checked = recipe.shared;
    };
    const tell = async (change, sentence) => {
        try {
            await change();
            part("recipe-state").textContent = sentence;
        } catch (error) {
            part("recipe-state").textContent = error.message;
        }
    };
    part("recipe").onchange = () => {
        showChosen();
        useOptions(findChosen()?.options || {});
        look();
    };
    part("keep").onclick = () => {
        const name = part("recipe-name").value.trim();
        if (!name) {
            part("recipe-state").textContent = "Give the recipe a name first.";
            return part("recipe-name").focus();
        }
        const body = { name, shared: part("share").checked, options: readOptions() };
        const own = recipes.find((one) => one.is_own && one.name === name);
        tell(async () => {
            await (own ? call("PATCH", `${own.id}/`, body) : call("POST", "", body));
            await listRecipes(name);
        }, `“${name}” is kept.`);
    };
    part("remove").onclick = () => {
        const { id, name } = findChosen();
        tell(async () => {
            await call("DELETE", `${id}/`);
            await listRecipes();
        }, `“${name}” is removed.`);
    };
    // The former release kept recipes in the browser: {"Supplier A": {"Artikel": "title"}}.
    const KEY = "tenfold-import-recipes";
    const bringAlong = async () => {
        for (const [name, columns] of Object.entries(JSON.parse(localStorage.getItem(KEY) || "{}"))) {
            const map = Object.entries(columns).map(([column, field]) => `${field}=${column}`).join(",");
            await call("POST", "", { name, options: { map } }).catch(() => {});
        }
        localStorage.removeItem(KEY);
    };
    // Pasted lines become the form's file. Lines without column names, whose last cell is a number, are a count of stock.
    const HEADS = { 2: ["sku", "on_hand"], 3: ["sku", "location", "on_hand"] };
    const nameColumns = (text) => {
        const [line] = text.split("\n");
        const sign = ["\t", ";", ","].find((one) => line.includes(one)) || ",";
        const cells = line.split(sign);
        const heads = HEADS[cells.length] && /^\s*\d+\s*$/.test(cells.at(-1)) ? `${HEADS[cells.length].join(sign)}\n` : "";
        return `${heads}${text}\n`;
    };
    paste.hidden = false;
    paste.querySelector("button").onclick = () => {
        const text = paste.querySelector("textarea").value.trim();
        if (!text) return paste.querySelector("textarea").focus();
        const files = new DataTransfer();
        files.items.add(new File([nameColumns(text)], "pasted.csv", { type: "text/csv" }));
        upload.files = files.files;
        upload.dispatchEvent(new Event("change", { bubbles: true }));
    };
    part("start").onclick = () => form.requestSubmit(form.querySelector("[name=_save]") || document.querySelector("[name=_save]"));
    // A form for the mended rows of an import comes with its map.
    const given = find("map").value;
    upload.addEventListener("change", () => {
        useMap(findChosen()?.options.map ?? given);
        look();
    });
    for (const name of [...OPTIONS, ...FLAGS]) find(name)?.addEventListener("change", look);
    tell(async () => {
        await bringAlong();
        await listRecipes();
    }, "");
});
