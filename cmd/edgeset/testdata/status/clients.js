// Clients of the status API for its tests: those of socket.io, and an EventSource.
// Each line of the input is an order, in JSON; each line of the output is what has
// happened to a client: [name, what, ...values]. The process ends with its input.
const readline = require('readline')
const { EventSource } = require('eventsource')

const libraries = { 2: require('client2'), 3: require('client3'), 4: require('client4') }
const ends = {} // by the name of a client: what closes it
const sockets = {}

const say = (...line) => process.stdout.write(JSON.stringify(line) + '\n')
const pause = (ms) => new Promise((done) => setTimeout(done, ms))

const orders = {
  // As the document has it.
  listen({ name, version, url, options, access_token, gid_uuid, filters }) {
    const io = libraries[version]
    const socket = io.connect(url, { path: '/v1/socket/', ...options })
    socket.on('connect', function () {
      socket.emit('LISTEN', { access_token, gid_uuid, filters })
    })
    socket.on('STATUS_UPDATE', function (...args) {
      say(name, 'STATUS_UPDATE', ...args)
    })
    watch(name, socket)
    socket.on('LISTENING', (...args) => say(name, 'LISTENING', ...args))
    socket.io.engine.on('upgrade', (transport) => say(name, 'upgrade', transport.name))
  },

  // An app that misses nothing: whenever it is connected again it fetches what was
  // shared since the last update that it knows. What comes in the meantime waits.
  follow({ name, version, url, options, access_token, gid_uuid }) {
    const socket = libraries[version].connect(url, { path: '/v1/socket/', ...options })
    const seen = new Set()
    let last, connections = 0, waiting = []
    const take = (update) => {
      if (seen.has(update.uuid)) return
      seen.add(update.uuid)
      last = update.uuid
      say(name, 'STATUS_UPDATE', update)
    }
    const fetchSince = async () => {
      const response = await fetch(`${url}/v1/status/shared${last ? `?since_uuid=${last}` : ''}`, {
        headers: { Authorization: `BEARER ${access_token}` }, signal: AbortSignal.timeout(10_000),
      })
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
      return response.json()
    }
    socket.on('connect', () => {
      connections++
      waiting = []
      socket.emit('LISTEN', { access_token, gid_uuid, filters: '*' })
    })
    socket.on('STATUS_UPDATE', (update) => waiting ? waiting.push(update) : take(update))
    socket.on('LISTENING', async () => {
      const mine = connections
      for (let more = true; more;) {
        try {
          const page = await fetchSince()
          if (mine !== connections) return
          page.forEach(take)
          more = page.length > 0
        } catch {
          await pause(20)
          if (mine !== connections) return
        }
      }
      waiting.forEach(take)
      waiting = undefined
      say(name, 'caught up')
    })
    watch(name, socket)
  },

  stream({ name, url }) {
    const source = new EventSource(url)
    source.onopen = () => say(name, 'open')
    source.onerror = ({ code }) => code && say(name, 'error', code)
    source.addEventListener('STATUS_UPDATE', ({ data, lastEventId }) => say(name, 'STATUS_UPDATE', JSON.parse(data), lastEventId))
    ends[name] = () => source.close()
  },

  emit({ name, args }) {
    sockets[name].emit(...args, (...answer) => say(name, 'acknowledged', ...answer))
  },

  close({ name }) {
    ends[name]()
    say(name, 'closed')
  },
}

function watch(name, socket) {
  sockets[name] = socket
  socket.on('connect', () => say(name, 'connect', socket.io.engine.transport.name))
  socket.on('error', (...args) => say(name, 'error', ...args))
  socket.on('disconnect', (reason) => say(name, 'disconnect', reason))
  ends[name] = () => socket.close()
}

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { order, ...rest } = JSON.parse(line)
    orders[order](rest)
  })
  .on('close', () => process.exit())
