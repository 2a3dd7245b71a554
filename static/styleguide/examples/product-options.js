import { h } from "../../js/app/dom.js";
import "../../js/elements/product-options.js";
import { PRODUCT } from "./pretend.js";

const variants = ["Small", "Medium", "Large"].flatMap((Size) =>
  ["Blue", "White"].map((Colour) => ({
    ...PRODUCT,
    sku: `SHIRT-${Size}-${Colour}`,
    available: Size === "Large" ? 0 : 4,
    options: { Size, Colour },
  })),
);

export const examples = {
  "Sizes and colours; the large ones are sold out": () =>
    h("product-options", { variants, chosen: variants[0] }),
};
