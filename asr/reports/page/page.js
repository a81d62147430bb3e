// What the pages share: their data, arrays in it, colours, and elements.

/** Return the data that write_page put into the page. Arrays come as {shape, values}. */
function pageData() {
  return JSON.parse(document.getElementById("data").textContent, (_, value) =>
    value && value.base64 !== undefined && value.dtype ? unpacked(value) : value);
}

/** Return an array of write_page as {shape, values}, values in a typed array, last axis fastest. */
function unpacked({ dtype, shape, base64 }) {
  const kinds = { float32: Float32Array, int32: Int32Array, int16: Int16Array, uint8: Uint8Array };
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return { shape, values: new kinds[dtype](bytes.buffer) };
}

/** Return a colour of page.css, such as colour("accent"), as it is now, light or dark. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Return a new element: element("p", { className: "faint" }, "text", child, ...). */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
