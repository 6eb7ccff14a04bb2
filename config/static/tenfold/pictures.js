// Adds many pictures by their files' names: finds the product of each, shows which have none, then sends one by one.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const MOST = 500;
    // SKUs of one look-up, so that its address stays short; the API takes 200.
    const AT_ONCE = 50;
    const page = document.getElementById("pictures");
    const part = (name) => page.querySelector(`[data-${name}]`);
    const upload = page.querySelector("[type=file]");
    const headers = { "X-CSRFToken": page.querySelector("[name=csrfmiddlewaretoken]").value, Accept: "application/json" };
    const order = new Intl.Collator("en", { numeric: true });
    let wanted = [];

    const tell = (found) => found.errors?.[0]?.detail || `${found.detail} ${found.hint || ""}`;
    const ask = async (address, body) => {
        const answer = await fetch(address, { method: body ? "POST" : "GET", body, headers });
        const found = await answer.json();
        if (!answer.ok) throw new Error(tell(found));
        return found;
    };

    // `LAMP-2.jpg` is the picture of LAMP-2 if there is such a SKU, else one of LAMP.
    const listNames = (file) => {
        const whole = file.name.replace(/\.[^.]*$/, "").trim();
        const [, shorter] = whole.match(/^(.+)-\d{1,3}$/) || [];
        return shorter ? [whole, shorter] : [whole];
    };
    // The products' ids by SKU, of products and variants.
    const find = async (skus) => {
        const products = new Map();
        for (let start = 0; start < skus.length; start += AT_ONCE) {
            const some = skus.slice(start, start + AT_ONCE).map((sku) => `sku=${encodeURIComponent(sku)}`).join("&");
            const [variants, own] = await Promise.all([
                ask(`${page.dataset.variants}?fields=sku,product&page_size=200&${some}`),
                ask(`${page.dataset.products}?fields=sku,id&page_size=200&${some}`),
            ]);
            for (const { sku, product } of variants.results) products.set(sku, product);
            for (const { sku, id } of own.results) products.set(sku, id);
        }
        return products;
    };

    const addRow = (body, texts) => {
        const row = body.insertRow();
        for (const text of texts) {
            const cell = row.insertCell();
            cell.textContent = text;
            cell.className = "border-b border-base-200 px-2 py-1 dark:border-base-800";
        }
        return row.cells[1];
    };
    const show = () => {
        const table = document.createElement("table");
        table.className = "text-left w-full";
        const head = table.createTHead().insertRow();
        head.innerHTML = '<th class="px-2 py-1" scope="col">File</th><th class="px-2 py-1" scope="col">Product</th>';
        const body = table.createTBody();
        // Those without a product come first, where they are seen.
        for (const one of [...wanted].sort((left, right) => Boolean(left.product) - Boolean(right.product))) {
            one.cell = addRow(body, [one.file.name, one.product ? one.sku : "no product has this SKU"]);
        }
        part("rows").replaceChildren(table);
    };
    const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

    const look = async () => {
        const files = [...upload.files].sort((left, right) => order.compare(left.name, right.name));
        part("start").hidden = true;
        part("rows").replaceChildren();
        wanted = [];
        if (files.length > MOST) {
            part("state").textContent = `These are ${files.length} pictures; choose at most ${MOST} at once.`;
            return;
        }
        part("state").textContent = "Looking for the products…";
        try {
            const products = await find([...new Set(files.flatMap(listNames))]);
            wanted = files.map((file) => {
                const sku = listNames(file).find((name) => products.has(name.normalize()));
                return { file, sku, product: sku && products.get(sku.normalize()) };
            });
        } catch (error) {
            part("state").textContent = error.message;
            return;
        }
        const known = wanted.filter((one) => one.product);
        part("state").textContent = `${count(known.length, "picture")} found a product, ${wanted.length - known.length} did not.`;
        part("start").hidden = !known.length;
        show();
    };

    // What new pictures of a product need: its title as their text, and its last position, behind which they come.
    const read = async (product) => {
        const address = `${page.dataset.products}${product}/`;
        const [{ title }, { results }] = await Promise.all([
            ask(`${address}?fields=title`), ask(`${address}images/?ordering=-position&page_size=1&fields=position`),
        ]);
        return { alt: title, position: results[0]?.position ?? 0 };
    };
    const send = async (one, places) => {
        try {
            if (!places.has(one.product)) places.set(one.product, await read(one.product));
            const place = places.get(one.product);
            const body = new FormData();
            body.append("file", one.file);
            body.append("alt", place.alt);
            body.append("position", place.position + 1);
            await ask(`${page.dataset.products}${one.product}/images/`, body);
            place.position += 1;
            one.cell.textContent = `${one.sku}: added`;
            return true;
        } catch (error) {
            one.cell.textContent = `${one.sku}: not added. ${error.message}`;
            return false;
        }
    };
    part("start").onclick = async () => {
        part("state").focus();
        part("start").hidden = upload.disabled = true;
        const known = wanted.filter((one) => one.product);
        const places = new Map();
        let added = 0;
        // One after the other: a process decodes one picture at a time.
        for (const [number, one] of known.entries()) {
            part("state").textContent = `Sending ${number + 1} of ${known.length}…`;
            added += await send(one, places);
        }
        part("state").textContent = `${count(added, "picture")} added, ${wanted.length - added} not.`;
        upload.disabled = false;
    };

    part("most").textContent = String(MOST);
    // unfold listens to each file field, and fails without a field for text beside it: it is never told.
    page.addEventListener("change", (event) => {
        event.stopPropagation();
        look();
    }, true);
});
