// ShareDB with its MongoDB and Redis adapters. A cart is a document of the collection `carts`; its
// type is json0, ShareDB's default, whose number-add keeps every concurrent change of a quantity.

import { createServer } from 'node:http';
import WebSocketJSONStream from '@teamwork/websocket-json-stream';
import ShareDB from 'sharedb';
import shareDbMongo from 'sharedb-mongo';
import redisPubSub from 'sharedb-redis-pubsub';
import { WebSocketServer } from 'ws';
import { announce, DATABASE, MONGODB_URL, REDIS_URL } from './listening.mjs';

const address = new URL(MONGODB_URL);
address.pathname = `/${DATABASE}`;
const backend = new ShareDB({
  // Its README recommends this for speed: it doesn't read on to the head to tell forks apart.
  db: shareDbMongo(address.href, { getOpsWithoutStrictLinking: true }),
  pubsub: redisPubSub({ url: REDIS_URL }),
});

const httpServer = createServer();
new WebSocketServer({ server: httpServer }).on('connection', (socket) => {
  backend.listen(new WebSocketJSONStream(socket));
});
httpServer.listen(0, '127.0.0.1', () => announce(httpServer));
