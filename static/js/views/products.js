/** Products on a page of their own; they go into the cart that was open last. */

import { h } from "../app/dom.js";
import { finder, piecesBySku } from "../elements/finder.js";

function targetText(room) {
  if (!room)
    return [
      "No cart is open. ",
      h("a", { href: "#/carts" }, "Open or create one"),
      " to add products to it.",
    ];
  const link = h("a", { href: `#/cart/${room.cart}` }, room.state?.name ?? "your cart");
  if (room.role === "viewer") return ["You may look at ", link, ", not add to it."];
  return ["Products go into ", link, "."];
}

export function showProducts(root, app) {
  if (!app.room && app.lastCart) app.open(app.lastCart);
  const { room } = app;
  const open = () => (room && !room.closed ? room : null);
  const target = h("p.target", {});
  let pieces = new Map();
  const find = finder({
    ready: () => open()?.state && room.role !== "viewer",
    count: (sku) => pieces.get(sku) ?? 0,
    add: async (product, qty) => {
      const items = [{ sku: product.sku, qty }];
      return (await app.act({ kind: "add", items }, [product])) !== null;
    },
  });
  const update = () => {
    pieces = piecesBySku(open()?.state);
    target.replaceChildren(...targetText(open()));
    find.refresh();
  };
  root.replaceChildren(
    h(
      "section.card.wide-finder",
      {},
      h("h1", { tabindex: "-1" }, "Products"),
      target,
      find.element,
    ),
  );
  update();
  const stop = room?.on("change", update);
  return () => {
    stop?.();
    find.stop();
  };
}
