/** The form for a new cart. */

import { findProducts } from "../app/catalog.js";
import { currencyOptions } from "./choices.js";
import { define, Element } from "./element.js";
import { field, form } from "./forms.js";

const NAME_MAX = 200;

/** `<cart-create>`: makes a cart and opens it. */
export class CartCreate extends Element {
  app = null;
  #currency;

  build() {
    this.classList.add("cart-create");
    const fields = {
      name: field("Name", {
        name: "cart-name",
        required: true,
        maxlength: String(NAME_MAX),
        autocomplete: "off",
        placeholder: "Summer party",
      }),
      currency: field(
        "Currency",
        { name: "currency" },
        { control: "select", options: currencyOptions() },
      ),
    };
    this.#currency = fields.currency.input;
    if (this.app.user.currency) this.#currency.value = this.app.user.currency;
    const create = form(fields, {
      label: "Create cart",
      busyLabel: "Creating…",
      attributes: { "aria-label": "New cart" },
      send: async ({ name, currency }) => {
        const made = await this.app.client.createCart({ name: name.trim(), currency });
        location.hash = `#/cart/${made.cart}`;
      },
    });
    this.append(create);
  }

  connected() {
    if (this.app.user.currency) return;
    const abort = new AbortController();
    this.until(() => abort.abort());
    this.#chooseCurrency(abort.signal);
  }

  /** The currency that products are sold in, as a cart takes only those of its own. */
  async #chooseCurrency(signal) {
    let touched = false;
    this.#currency.addEventListener("change", () => (touched = true));
    try {
      const page = await findProducts({ limit: 1 }, signal);
      const currency = page.items[0]?.price.currency;
      if (currency && !touched) this.#currency.value = currency;
    } catch (error) {
      // The first choice stays; people can change it.
      if (!signal.aborted) console.warn("The catalog's currency is not known", error);
    }
  }
}

define("cart-create", CartCreate);
