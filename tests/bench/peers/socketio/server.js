// A chat server on Socket.IO, for comparison: tokens are checked, clients are in the rooms they name and send into them.
// Set up as its documentation advises for load: WebSocket only, `ws` with bufferutil, the handshake's request let go. It keeps nothing.
"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const [address, key] = process.argv.slice(2);
const [host, port] = address.split(":");

function valid(token) {
  const [name, given] = String(token).split(".");
  const sum = createHmac("sha256", key).update(name).digest();
  const other = Buffer.from(given ?? "", "hex");
  return other.length === sum.length && timingSafeEqual(other, sum);
}

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });

// The request of the handshake is not needed any more, and keeps kilobytes alive.
io.engine.on("connection", (raw) => {
  raw.request = null;
});

io.use((socket, next) => {
  const { token, rooms } = socket.handshake.auth;
  if (!valid(token) || !Array.isArray(rooms) || rooms.length > 128) {
    next(new Error("unauthenticated"));
    return;
  }
  socket.data.rooms = rooms;
  next();
});

io.on("connection", (socket) => {
  socket.join(socket.data.rooms);
  socket.on("send", (room, body, reply) => {
    if (!socket.rooms.has(room)) {
      reply("forbidden");
      return;
    }
    io.to(room).emit("message", room, body);
    reply("ok");
  });
});

http.listen({ host, port: Number(port), backlog: 4096 });
