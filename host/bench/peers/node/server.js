// Trails of points on Node.js: Fastify, with schemas as it advises, and the
// SQLite that Node has built in, in WAL mode: an acknowledged upload survives the
// end of the process.
//
//   node server.js PORT FILE TOKEN
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import Fastify from "fastify";

const [port, file, token] = process.argv.slice(2);
const lifetime = 4 * 3600 * 1000;
const seenEvery = 15 * 1000; // after which a viewer is noted again

const db = new DatabaseSync(file);
db.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS ticket (id TEXT PRIMARY KEY, owner TEXT, ends INTEGER, first INTEGER, last INTEGER) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS invite (code TEXT PRIMARY KEY, ticket TEXT) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS viewer (code TEXT, id TEXT, seen INTEGER, PRIMARY KEY (code, id)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log (ticket TEXT, seq INTEGER, first INTEGER, points TEXT NOT NULL, PRIMARY KEY (ticket, seq)) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS log_by_time ON log (ticket, first);`);
const sql = {
  begin: db.prepare("BEGIN IMMEDIATE"),
  commit: db.prepare("COMMIT"),
  rollback: db.prepare("ROLLBACK"),
  create: db.prepare("INSERT INTO ticket VALUES (?, ?, ?, 0, 0)"),
  ticket: db.prepare("SELECT owner, ends, first, last FROM ticket WHERE id = ?"),
  extend: db.prepare("UPDATE ticket SET first = ?, last = ? WHERE id = ?"),
  append: db.prepare("INSERT INTO log SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3 FROM log WHERE ticket = ?1"),
  uploaded: db.prepare("SELECT 1 FROM log WHERE ticket = ? AND first = ?"),
  invite: db.prepare("INSERT INTO invite VALUES (?, ?)"),
  viewed: db.prepare(`SELECT t.id, t.owner, t.first, t.last, v.seen FROM invite i JOIN ticket t ON t.id = i.ticket
    LEFT JOIN viewer v ON v.code = i.code AND v.id = ? WHERE i.code = ?`),
  see: db.prepare("INSERT OR REPLACE INTO viewer VALUES (?, ?, ?)"),
  read: db.prepare("SELECT seq, points FROM log WHERE ticket = ? AND seq > ? ORDER BY seq LIMIT 100"),
};

// append returns the number of points stored. An upload that is there already is
// not stored again.
function append(id, owner, rows) {
  sql.begin.run();
  try {
    const stored = appendIn(id, owner, rows);
    sql.commit.run();
    return stored;
  } catch (error) {
    sql.rollback.run();
    throw error;
  }
}

function appendIn(id, owner, rows) {
  const t = sql.ticket.get(id);
  if (!t || t.owner !== owner) throw refusal(404);
  if (Date.now() > t.ends) throw refusal(409);
  const first = rows[0][0];
  if (first <= t.last && sql.uploaded.get(id, first)) return 0;
  sql.append.run(id, first, JSON.stringify(rows).slice(1, -1));
  sql.extend.run(t.first ? Math.min(t.first, first) : first, Math.max(t.last, rows[rows.length - 1][0]), id);
  return rows.length;
}

function refusal(statusCode) {
  return Object.assign(new Error("refused"), { statusCode });
}

const integer = (minimum, maximum) => ({ type: "integer", minimum, maximum });
const object = (properties) => ({ type: "object", properties });
const text = { type: "string" };
const points = {
  type: "array", minItems: 1, maxItems: 1000,
  items: {
    type: "array", minItems: 8, maxItems: 8,
    items: [
      integer(0, 2 ** 53), integer(-90000000, 90000000), integer(-180000000, 180000000),
      integer(-1, 1000000), integer(-1, 360), integer(-100000, 1000000), integer(-1, 1000000), integer(-1, 1000000),
    ],
  },
};
const meta = object({ time: { type: "integer" } });
const stored = object({ result: text, response: object({ type: text, stored: { type: "integer" } }), meta });

const app = Fastify();

async function authenticate(request) {
  if (request.headers.authorization !== `Bearer ${token}`) throw refusal(401);
  request.owner = "ann";
}
app.decorateRequest("owner", null);

app.get("/empty", { schema: { response: { 200: object({ result: text }) } } }, async () => ({ result: "ok" }));

app.post("/v2/users/self/create_ticket", { onRequest: authenticate }, async (request) => {
  const id = randomUUID();
  sql.create.run(id, request.owner, Date.now() + lifetime);
  sql.invite.run(`c${id}`, id);
  return { result: "ok", response: { type: "ticket", id, code: `c${id}` } };
});

app.post("/v2/tickets/:id/append_location", {
  onRequest: authenticate, schema: { body: points, response: { 200: stored } },
}, async (request) => {
  const rows = request.body;
  for (let i = 1; i < rows.length; i++) {
    if (rows[i][0] <= rows[i - 1][0]) throw refusal(400);
  }
  const n = append(request.params.id, request.owner, rows);
  return { result: "ok", response: { type: "stored", stored: n }, meta: { time: Date.now() } };
});

app.get("/v2/invites/:code", async (request, reply) => {
  const { code } = request.params;
  const viewer = `${request.ip} ${request.headers["user-agent"]}`;
  const t = sql.viewed.get(viewer, code);
  if (!t) throw refusal(404);
  const now = Date.now();
  if (now - (t.seen ?? 0) >= seenEvery) sql.see.run(code, viewer, now);
  let next = Number(request.query.next);
  const parts = [];
  for (const row of sql.read.all(t.id, next)) {
    next = row.seq;
    parts.push(row.points);
  }
  // The rows are JSON already.
  reply.type("application/json");
  return `{"result":"ok","response":{"type":"ticket_invite","id":"${code}","owner":"${t.owner}","first":${t.first},"last":${t.last},` +
    `"next":${next},"data":[],"location":[${parts.join(",")}],"uncompressed":true},"meta":{"time":${now}}}`;
});

process.once("SIGTERM", async () => {
  await app.close();
  db.close();
});
await app.listen({ host: "127.0.0.1", port: Number(port) });
