// Trails of points on workerd: a Durable Object a ticket, which is how
// Cloudflare advises to divide state, on its SQLite storage, called by RPC.
import { DurableObject } from "cloudflare:workers";

const lifetime = 4 * 3600 * 1000;
const seenEvery = 15 * 1000; // after which a viewer is noted again
const maxPoints = 1000;
const limits = [
  [0, 2 ** 53], [-90000000, 90000000], [-180000000, 180000000],
  [-1, 1000000], [-1, 360], [-100000, 1000000], [-1, 1000000], [-1, 1000000],
];

// right says whether rows are points [t, lat, lng, speed, heading, altitude,
// h_acc, v_acc], ordered by time.
function right(rows) {
  if (!Array.isArray(rows) || rows.length === 0 || rows.length > maxPoints) return false;
  let last = -1;
  for (const row of rows) {
    if (!Array.isArray(row) || row.length !== limits.length || row[0] <= last) return false;
    for (let i = 0; i < limits.length; i++) {
      if (!Number.isInteger(row[i]) || row[i] < limits[i][0] || row[i] > limits[i][1]) return false;
    }
    last = row[0];
  }
  return true;
}

export class Trail extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec(`
      CREATE TABLE IF NOT EXISTS ticket (id TEXT PRIMARY KEY, owner TEXT, ends INTEGER, first INTEGER, last INTEGER);
      CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, first INTEGER UNIQUE, points TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS viewer (id TEXT PRIMARY KEY, seen INTEGER);`);
    // The one object of a ticket may keep in memory what it stores.
    this.ticket = this.sql.exec("SELECT * FROM ticket").toArray()[0];
    this.seen = new Map(this.sql.exec("SELECT id, seen FROM viewer").raw());
  }

  create(id, owner) {
    this.ticket = { id, owner, ends: Date.now() + lifetime, first: 0, last: 0 };
    this.sql.exec("INSERT INTO ticket VALUES (?, ?, ?, 0, 0)", id, owner, this.ticket.ends);
  }

  // append returns the number of points stored, or a status below zero. An upload
  // that is there already is not stored again. The writes of one call are
  // committed together.
  append(owner, text) {
    const t = this.ticket;
    if (!t || t.owner !== owner) return -404;
    if (Date.now() > t.ends) return -409;
    let rows;
    try {
      rows = JSON.parse(text);
    } catch {
      return -400;
    }
    if (!right(rows)) return -400;
    const first = rows[0][0];
    if (first <= t.last && this.sql.exec("SELECT 1 FROM log WHERE first = ?", first).toArray().length > 0) return 0;
    t.first = t.first ? Math.min(t.first, first) : first;
    t.last = Math.max(t.last, rows[rows.length - 1][0]);
    this.sql.exec("INSERT INTO log (first, points) VALUES (?, ?)", first, text.trim().slice(1, -1));
    this.sql.exec("UPDATE ticket SET first = ?, last = ?", t.first, t.last);
    return rows.length;
  }

  // view returns the answer to a viewer, or null.
  view(next, viewer) {
    const t = this.ticket;
    if (!t) return null;
    const now = Date.now();
    if (now - (this.seen.get(viewer) ?? 0) >= seenEvery) {
      this.seen.set(viewer, now);
      this.sql.exec("INSERT OR REPLACE INTO viewer VALUES (?, ?)", viewer, now);
    }
    const parts = [];
    for (const [seq, points] of this.sql.exec("SELECT seq, points FROM log WHERE seq > ? ORDER BY seq LIMIT 100", next).raw()) {
      next = seq;
      parts.push(points);
    }
    return `{"result":"ok","response":{"type":"ticket_invite","id":"${t.id}","owner":"${t.owner}","first":${t.first},"last":${t.last},` +
      `"next":${next},"data":[],"location":[${parts.join(",")}],"uncompressed":true},"meta":{"time":${now}}}`;
  }
}

const json = { headers: { "content-type": "application/json" } };

function refuse(status) {
  return new Response(null, { status });
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (request.method === "GET" && url.pathname === "/empty") return new Response(`{"result":"ok"}`, json);
    const [, , kind, id, call] = url.pathname.split("/");
    if (request.method === "GET" && kind === "invites") {
      const viewer = `${request.headers.get("cf-connecting-ip")} ${request.headers.get("user-agent")}`;
      const text = await env.TRAILS.getByName(id).view(Number(url.searchParams.get("next")), viewer);
      return text === null ? refuse(404) : new Response(text, json);
    }
    if (request.method !== "POST") return refuse(404);
    if (request.headers.get("authorization") !== `Bearer ${env.TOKEN}`) return refuse(401);
    if (kind === "tickets" && call === "append_location") {
      const stored = await env.TRAILS.getByName(id).append("ann", await request.text());
      if (stored < 0) return refuse(-stored);
      return new Response(`{"result":"ok","response":{"type":"stored","stored":${stored}},"meta":{"time":${Date.now()}}}`, json);
    }
    if (url.pathname === "/v2/users/self/create_ticket") {
      const id = crypto.randomUUID();
      await env.TRAILS.getByName(id).create(id, "ann");
      return Response.json({ result: "ok", response: { type: "ticket", id, code: id } });
    }
    return refuse(404);
  },
};
