"use strict";
// The page works without this script. With it, links and the filter change the list in place,
// times run, and the daemon sends what has changed.
const data = document.body.dataset;
const units = data.units.split("|");
const sizes = [86400, 3600, 60, 1];
const byID = id => document.getElementById(id);
let seq = data.seq, stream = null, retry = 0, reloads = 0;

function span(seconds) {
	seconds = Math.max(0, Math.floor(seconds));
	for (let i = 0; i < sizes.length; i++) {
		if (seconds < sizes[i] && i < 3) continue;
		const rest = i < 3 ? Math.floor(seconds % sizes[i] / sizes[i + 1]) : 0;
		return Math.floor(seconds / sizes[i]) + units[i] + (rest ? " " + rest + units[i + 1] : "");
	}
}

function run() {
	const now = Date.now() / 1000;
	for (const t of document.querySelectorAll(".tick")) {
		const as = t.dataset.as, d = as === "left" || as === "in" ? t.dataset.at - now : now - t.dataset.at;
		const text = as === "up" ? span(d) : as === "in" && d <= 0 ? data.overdue : data[as].replace("%s", span(d));
		if (t.textContent !== text) t.textContent = text;
	}
	for (const b of document.querySelectorAll("svg.bar")) {
		const left = (b.dataset.until - now) / (b.dataset.until - b.dataset.from);
		b.querySelector(".rest").setAttribute("width", Math.max(0, Math.min(100, Math.round(left * 100))));
	}
}

// element parses the HTML of one element. A row needs a table around it.
function element(html) {
	const t = document.createElement("template");
	t.innerHTML = html.trim();
	return t.content.firstElementChild;
}

// put replaces an element, and keeps the focus if it is inside.
function put(old, now) {
	const focused = old.contains(document.activeElement) ? document.activeElement : null;
	const href = focused && focused.getAttribute("href"), id = focused && focused.id;
	old.replaceWith(now);
	if (focused) (id && byID(id) || href && [...now.querySelectorAll("a")].find(a => a.getAttribute("href") === href) || now).focus({ preventScroll: true });
	copies(now);
}

function copies(root) {
	if (!navigator.clipboard) return;
	for (const b of root.querySelectorAll(".copy")) {
		b.hidden = false;
		b.textContent = data.copy;
	}
}

function mode(live) {
	byID("mode").textContent = live ? data.live : data.reloading;
	byID("mode").classList.toggle("live", live);
}

function follow() {
	if (stream) stream.close();
	stream = null;
	if (document.hidden) return; // a browser has few connections to one server
	const q = new URLSearchParams(location.search);
	q.set("seq", seq);
	q.set("page", data.page);
	q.set("lang", document.documentElement.lang);
	stream = new EventSource("events?" + q);
	stream.onopen = () => { retry = 0; mode(true); };
	stream.onerror = () => { stream.close(); stream = null; mode(false); reload(); };
	stream.onmessage = m => {
		const u = JSON.parse(m.data);
		if (u.title) document.title = u.title;
		if (u.at) byID("at").textContent = u.at;
		for (const id in u.parts) {
			const old = byID(id), now = element(u.parts[id]);
			if (!old || !now || now.dataset.key && now.dataset.key === old.dataset.key) continue;
			put(old, now);
			if (now.dataset.key) now.classList.add("changed");
		}
		run();
	};
}

// reload is for when there is no stream: a look now and then, and another attempt to follow.
function reload() {
	clearTimeout(reloads);
	reloads = setTimeout(async () => {
		await show(location.href, ["main"]);
		follow();
	}, Math.min(30000, 1000 * 2 ** retry++));
}

// show replaces parts of this page by those of another.
async function show(url, selectors) {
	try {
		const r = await fetch(url);
		if (!r.ok) return false;
		const page = new DOMParser().parseFromString(await r.text(), "text/html");
		for (const s of selectors) {
			const now = page.querySelector(s), old = document.querySelector(s);
			if (now && old) put(old, now);
		}
		seq = page.body.dataset.seq;
		document.querySelector(".language").href = page.querySelector(".language").getAttribute("href");
		run();
		return true;
	} catch { return false; }
}

const parts = ["#top", "#list"];

async function go(url, push) {
	if (!await show(url, parts)) { location.href = url; return; }
	history[push ? "pushState" : "replaceState"](null, "", url);
	follow();
}

document.addEventListener("click", e => {
	const a = e.target.closest("a[data-swap]");
	if (a && !e.ctrlKey && !e.metaKey && !e.shiftKey && e.button === 0) {
		e.preventDefault();
		go(a.href, true);
	}
	const b = e.target.closest(".copy");
	if (b) navigator.clipboard.writeText(b.dataset.copy).then(() => {
		b.textContent = data.copied;
		setTimeout(() => { b.textContent = data.copy; }, 2000);
	});
});

// A link that is a button also works with the space bar.
document.addEventListener("keydown", e => {
	const a = e.target.closest && e.target.closest("a[role=button]");
	if (a && e.key === " ") { e.preventDefault(); a.click(); }
});

function filter(form) {
	const q = new URLSearchParams(new FormData(form));
	for (const [k, v] of [...q]) if (!v) q.delete(k);
	go(location.pathname + "?" + q, false);
}
let typing = 0;
document.addEventListener("input", e => {
	if (e.target.form && e.target.form.id === "filter") {
		clearTimeout(typing);
		typing = setTimeout(filter, 250, e.target.form);
	}
});
document.addEventListener("submit", e => {
	if (e.target.id === "filter") { e.preventDefault(); clearTimeout(typing); filter(e.target); }
});

window.addEventListener("popstate", () => show(location.href, parts).then(follow));
document.addEventListener("visibilitychange", () => {
	if (document.hidden) follow(); else show(location.href, ["main"]).then(follow);
});

copies(document);
run();
setInterval(run, 1000);
follow();
