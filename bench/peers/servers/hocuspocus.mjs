// Hocuspocus with its Redis extension. A cart is a Yjs document in memory, with a map `lines` from
// "sku:client" to the pieces that this client has added: the usual counter for a CRDT, since two
// writes of one key would not add up. Nothing is stored.

import { once } from 'node:events';
import { Redis } from '@hocuspocus/extension-redis';
import { Server } from '@hocuspocus/server';
import IoRedis from 'ioredis';
import { announce, REDIS_URL } from './listening.mjs';

const redis = new Redis({ createClient: () => new IoRedis(REDIS_URL) });
const server = new Server({
  quiet: true,
  extensions: [redis],
  // Asked once a room, after the load, to compare with what was acknowledged.
  async onStateless({ connection, document }) {
    const pieces = [...document.getMap('lines').values()].reduce((sum, each) => sum + each, 0);
    connection.sendStateless(JSON.stringify({ pieces }));
  },
});
// A room that is opened while a client of Redis is only half connected never gets open.
const clients = [redis.pub, redis.sub].filter((client) => client.status !== 'ready');
await Promise.all(clients.map((client) => once(client, 'ready')));
// Its own `listen` would open the port to the whole network, whatever address it is given.
server.httpServer.listen(0, '127.0.0.1', () => announce(server.httpServer));
