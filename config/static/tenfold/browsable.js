// The browsable API's forms: send a body by any method, show the answer's page, and lead to the line of an error.
"use strict";

// DRF's own page names no language.
document.documentElement.lang = "en";

// Replaces the page with an answer's. A redirect was followed already, so the address is the answer's own.
async function showAnswer(answer) {
    if (!(answer.headers.get("Content-Type") || "").startsWith("text/html")) {
        location.assign(answer.url);
        return;
    }
    const text = await answer.text();
    document.open("text/html");
    document.write(text);
    document.close();
    history.replaceState({}, "", answer.url);
    scroll(0, 0);
}

async function send(event) {
    event.preventDefault();
    const form = event.target;
    const method = event.submitter?.dataset.method || form.dataset.method;
    const headers = { Accept: "text/html" };
    const token = document.querySelector("[name=csrfmiddlewaretoken]");
    if (token) headers["X-CSRFToken"] = token.value;
    const content = form.querySelector("[name=_content]");
    if (content) headers["Content-Type"] = form.querySelector("[name=_content_type]").value;
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
        await showAnswer(await fetch(form.getAttribute("action"), { method, headers, body: content?.value }));
    } catch (error) {
        // Nothing was answered: what was typed stays.
        const note = form.querySelector(".unsent") || form.appendChild(document.createElement("p"));
        note.className = "unsent text-danger";
        note.setAttribute("role", "alert");
        note.textContent = "The server can't be reached. Nothing is lost: send it again.";
        if (button) button.disabled = false;
    }
}

function selectLine(event) {
    event.preventDefault();
    const content = event.target.closest("form").querySelector("[name=_content]");
    const lines = content.value.split("\n");
    const before = lines.slice(0, event.target.dataset.line - 1).join("\n").length;
    const start = before + (event.target.dataset.line > 1 ? 1 : 0);
    content.focus();
    content.setSelectionRange(start, start + lines[event.target.dataset.line - 1].length);
}

for (const form of document.querySelectorAll("form.sent")) form.addEventListener("submit", send);
for (const link of document.querySelectorAll("[data-line]")) link.addEventListener("click", selectLine);
prettyPrint();
