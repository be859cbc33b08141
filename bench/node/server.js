// The peer: a room push service as one writes it with Node's Socket.IO and its defaults, in one process.
//
// It does what downlink does for a push, and less: no store, no admission, no greeting, no checks. Where the two
// differ, the peer has less to do. It prints `ready <port>` when it listens.
'use strict';

const http = require('node:http');
const { Server } = require('socket.io');

const server = http.createServer((req, res) => {
  if (req.method !== 'POST' || req.url !== '/push') {
    res.statusCode = 404;
    res.end();
    return;
  }
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    let push;
    try {
      push = JSON.parse(Buffer.concat(chunks));
    } catch {
      res.statusCode = 400;
      res.end('not JSON');
      return;
    }
    const audience = push.roomId === undefined ? io : io.to(push.roomId);
    audience.emit(push.eventName, push.data);
    res.end('accepted');
  });
});

const io = new Server(server);

io.on('connection', (socket) => {
  socket.on('join', (room) => {
    socket.join(room);
    socket.emit('joined', room);
  });
});

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`ready ${server.address().port}`);
});
