// What BenchmarkFanOut compares edgeset with: a server of socket.io whose listeners
// are in one room, and an HTTP handler that emits what is posted to it into that
// room. It keeps nothing. Its argument is where it listens; its first line of output
// is its address.
import { createServer } from 'node:http'

import { Server } from 'socket.io'

const [host, port] = process.argv[2].split(':')
const gid = '00000000-0000-4000-8000-000000000000'

function post(req, res) {
  const chunks = []
  req.on('data', (chunk) => chunks.push(chunk))
  req.on('end', () => {
    const updates = JSON.parse(Buffer.concat(chunks).toString())
    for (const { uuid, source, type, created_at, payload } of updates) {
      io.to('*').emit('STATUS_UPDATE', { uuid, gid_uuid: gid, source, type, created_at, payload })
    }
    res.writeHead(201, { 'Content-Type': 'application/json' })
    res.end(JSON.stringify(updates))
  })
}

const server = createServer(post)
const io = new Server(server, { path: '/v1/socket/', transports: ['websocket'], serveClient: false })
io.on('connection', (socket) => {
  socket.on('LISTEN', () => {
    socket.join('*')
    socket.emit('LISTENING', { gid_uuid: gid })
  })
})
server.listen(Number(port), host, () => console.log(`http://${host}:${port}`))
