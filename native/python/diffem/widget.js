// The figure of pictures as a widget of notebooks. The files of the figure come with the widget, because a notebook
// serves none: each becomes a local address, and files that name it get that address instead.

const TYPES = { js: 'text/javascript', wasm: 'application/wasm' };

/** Modules after what they load: WebAssembly, its modules, the worker, the elements. */
const rank = (name) => ['.wasm', 'diffem_', 'worker', ''].findIndex((part) => name.includes(part));

function addressOf(content, type) {
  return URL.createObjectURL(new Blob([content], { type }));
}

function publish(files) {
  const addresses = new Map();
  for (const name of Object.keys(files).sort((a, b) => rank(a) - rank(b))) {
    const kind = name.split('.').at(-1);
    let content = files[name];
    if (kind === 'js') {
      content = new TextDecoder().decode(content);
      for (const [other, address] of addresses) content = content.replaceAll(`./${other}`, address).replaceAll(other, address);
    }
    addresses.set(name, addressOf(content, TYPES[kind]));
  }
  return addresses.get('diffem-elements.js');
}

/** The elements are defined once per notebook. */
let defined;

async function render({ model, el }) {
  defined ??= import(publish(model.get('files')));
  await defined;
  const src = addressOf(model.get('checkpoint'), 'application/octet-stream');
  const figure = document.createElement('diffem-posterior');
  figure.setAttribute('draws', String(model.get('draws')));
  figure.setAttribute('src', src);
  el.append(figure);
  return () => {
    figure.remove();
    URL.revokeObjectURL(src);
  };
}

export default { render };
