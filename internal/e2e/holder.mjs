// A page in a process of its own, so that a test can stop it: logs into a room and prints each status as a line.
// Arguments: url, transport (or `upgrade`), room, type.

import { io } from 'socket.io-client';

const [url, way, room, type] = process.argv.slice(2);
const transports = way === 'upgrade' ? ['polling', 'websocket'] : [way];
const socket = io(url, { transports, reconnection: false });
socket.on('connect', () => socket.emit('loginRoom', room, type));
socket.on('downmsg', (status) => process.stdout.write(`${JSON.stringify(status)}\n`));
socket.on('disconnect', (reason) => process.stdout.write(`${JSON.stringify({ disconnected: reason })}\n`));
process.on('disconnect', () => process.exit());
