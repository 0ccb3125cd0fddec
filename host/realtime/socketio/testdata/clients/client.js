// A client of socket.io that goes through all it can do with a server. Its arguments
// are the major version of the library, how it connects (polling, websocket, or
// upgrade from the one to the other) and the server's URL. Each line of its output is
// what happened, in JSON; byte strings are {"bytes": "<hex>"}.
const [version, transport, url] = process.argv.slice(2)
const library = await import(`client${version}`)
const io = library.io ?? library.default

setTimeout(() => {
  console.error('not done in time')
  process.exit(1)
}, 60_000).unref()

const plain = (v) => {
  if (Buffer.isBuffer(v) || v instanceof Uint8Array || v instanceof ArrayBuffer) {
    return { bytes: Buffer.from(v).toString('hex') }
  }
  if (Array.isArray(v)) return v.map(plain)
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, w]) => [k, plain(w)]))
  return v
}
const say = (what, ...values) => console.log(JSON.stringify([what, ...plain(values)]))
// The arguments of the next event of that name.
const next = (emitter, name) => new Promise((done) => emitter.once(name, (...args) => done(args)))

// A version 2 sends what it has to say of itself in the query of the namespace.
const options = (token) => ({
  transports: transport === 'upgrade' ? ['polling', 'websocket'] : [transport],
  auth: { token },
  reconnectionDelay: 50,
  reconnectionDelayMax: 100,
  forceNew: token === 'main',
})

const main = io(url, options('main'))
const upgraded = transport === 'upgrade' ? new Promise((done) => {
  const { engine } = main.io
  engine.once('upgrade', done)
}) : undefined

async function talk(socket, name) {
  const auth = next(socket, 'auth')
  await next(socket, 'connect')
  say('connect', name, typeof socket.id, socket.id.length > 0)
  say('auth', name, ...await auth)

  const values = [1, '2', { 3: [true] }, null, 'grüße 日本 😀 \u2028', 1.5, -1e21]
  socket.emit('message', ...values)
  say('echo', name, ...await next(socket, 'message-back'))

  const bytes = [Buffer.from([0, 1, 255, 4]), { deep: [Buffer.alloc(0), 'text', Buffer.from('日本')] }]
  socket.emit('message', ...bytes)
  say('binary echo', name, ...await next(socket, 'message-back'))

  const ack = (...args) => new Promise((done) => socket.emit('message-with-ack', ...args, (...answer) => done(answer)))
  say('ack', name, ...await ack(...values))
  say('binary ack', name, ...await ack(...bytes))
  say('empty ack', name, ...await ack())
  say('acks', name, ...await Promise.all([ack('a'), ack('b'), ack('c')]))
}

// count has the server emit n numbers and tells whether they come in order, while
// messages go the other way.
async function count(socket, n) {
  let seen = 0
  const all = new Promise((done) => {
    socket.on('number', (i) => {
      if (i !== seen++) say('out of order', i)
      if (seen === n) done()
    })
  })
  socket.emit('count', n)
  const answers = []
  for (let i = 0; i < 20; i++) {
    answers.push(new Promise((done) => socket.emit('message-with-ack', i, done)))
  }
  const got = await Promise.all(answers)
  await all
  socket.off('number')
  say('count', n, got.every((v, i) => v === i))
}

await talk(main, '/')
await count(main, 300) // perhaps while the transport changes
if (upgraded) await upgraded
say('transport', main.io.engine.transport.name)
await count(main, 300)

const custom = version === '2'
  ? main.io.socket('/custom', { query: { token: 'custom & more' } })
  : main.io.socket('/custom', { auth: { token: 'custom & more' } })
custom.connect() // it does so already: the library asks the server twice
await talk(custom, '/custom')

const unknown = main.io.socket('/unknown', {})
const refused = next(unknown, version === '2' ? 'error' : 'connect_error')
const [reason] = await refused
say('refused', reason.message ?? reason)
unknown.close()

// The server ends one namespace, and the other stays.
custom.emit('expel')
say('expelled', ...(await next(custom, 'disconnect')).slice(0, 1))
say('still connected', await new Promise((done) => main.emit('message-with-ack', 'yes', done)))

// The server cuts the connection off, and the client comes back.
const back = next(main, 'connect')
const lost = next(main, 'disconnect')
main.emit('cut')
await lost
await back
say('back', await new Promise((done) => main.emit('message-with-ack', 'yes', done)))

const left = next(main, 'disconnect')
main.disconnect()
say('left', ...(await left).slice(0, 1))
