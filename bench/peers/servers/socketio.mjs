// Socket.IO with its Redis streams adapter, and what an application would add to make it durable:
// an op is inserted into MongoDB, then acknowledged and sent to the others in the room.

import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { MongoClient } from 'mongodb';
import IoRedis from 'ioredis';
import { Server } from 'socket.io';
import { announce, DATABASE, MONGODB_URL, REDIS_URL } from './listening.mjs';

const redis = new IoRedis(REDIS_URL);
const mongo = new MongoClient(MONGODB_URL);
await mongo.connect();
const log = mongo.db(DATABASE).collection('cart_ops');

/** Carts by name: the last revision given out, and pieces by sku. */
const carts = new Map();

function cartOf(name) {
  let cart = carts.get(name);
  if (!cart) {
    cart = { rev: 0, lines: new Map() };
    carts.set(name, cart);
  }
  return cart;
}

function apply(cart, op) {
  for (const { sku, qty } of op.items) cart.lines.set(sku, (cart.lines.get(sku) ?? 0) + qty);
}

async function commit(socket, { cart: name, op_id, op }, acknowledge) {
  const cart = cartOf(name);
  const at = new Date();
  const rev = ++cart.rev;
  try {
    await log.insertOne({ _id: `${name}:${rev}`, cart: name, rev, op_id, by: socket.id, at, op });
  } catch (error) {
    acknowledge({ error: error.message });
    return;
  }
  apply(cart, op);
  acknowledge({ cart: name, rev, at, op });
  socket.to(name).emit('cart.ops', { cart: name, ops: [{ rev, op_id, by: socket.id, at, op }] });
}

const httpServer = createServer();
const io = new Server(httpServer, {
  adapter: createAdapter(redis),
  transports: ['websocket'],
  serveClient: false,
});
// Its page on memory recommends to let go of the first request.
io.engine.on('connection', (rawSocket) => {
  rawSocket.request = null;
});
io.on('connection', (socket) => {
  socket.on('cart.join', async (name, acknowledge) => {
    await socket.join(name);
    acknowledge({ rev: cartOf(name).rev });
  });
  socket.on('cart.op', (message, acknowledge) => commit(socket, message, acknowledge));
  // Asked once a room, after the load, to compare with what was acknowledged.
  socket.on('cart.read', (name, acknowledge) => {
    const pieces = [...cartOf(name).lines.values()].reduce((sum, each) => sum + each, 0);
    acknowledge({ pieces });
  });
});
httpServer.listen(0, '127.0.0.1', () => announce(httpServer));
