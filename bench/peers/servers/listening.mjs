// What the three servers share: where they find their stores, and how they say that they are up.

export const { REDIS_URL, MONGODB_URL, DATABASE } = process.env;

/** One line on standard output that bench/peers reads the port from. */
export function announce(httpServer) {
  const { address, port } = httpServer.address();
  console.log(`The server is at http://${address}:${port}/`);
}
