import type { DescEnum, DescExtension, DescFile, DescMessage, DescService } from '@bufbuild/protobuf';
import { fileDesc as hydrate } from '@bufbuild/protobuf/codegenv2';

/*
 * What the generated files call in place of the library's functions of the same names, which decode every file as soon as it is imported: a sidecar
 * imports some 180 files and meets messages of a few dozen. Here a file is decoded when one of its types is first used. The generator writes the
 * names of its types beside it, so that other files can refer to them before that.
 */

/** name, nested messages (without map entries), nested enums. */
type MessageNames = readonly [name: string, messages: readonly MessageNames[], enums: readonly string[]];
/** Of a file, without what it imports. */
export type FileNames = readonly [path: string, packageName: string, messages: readonly MessageNames[], enums: readonly string[], services: readonly string[]];

/** As its importers see a file that is not ours (google.protobuf): with its own types, and no way on to what it imports itself. */
const views = new WeakMap<DescFile, DescFile>();

function viewOf(file: DescFile): DescFile {
  if (file instanceof LazyFile) return file.view;
  let view = views.get(file);
  if (view === undefined) {
    view = Object.create(file, { dependencies: { value: [] } }) as DescFile;
    views.set(file, view);
  }
  return view;
}

class LazyFile implements DescFile {
  readonly kind = 'file';
  readonly name: string;
  readonly messages: DescMessage[];
  readonly enums: DescEnum[];
  readonly services: DescService[];
  /** A field's type is always in a file that is imported directly (Envoy's files import nothing publicly), so one level is enough. */
  readonly view: DescFile;
  readonly #base64: string;
  readonly #imports: readonly DescFile[] | undefined;
  #whole: DescFile | undefined;

  constructor(base64: string, imports: readonly DescFile[] | undefined, [path, packageName, messages, enums, services]: FileNames) {
    this.#base64 = base64;
    this.#imports = imports;
    this.name = path.replace(/\.proto$/, '');
    const prefix = packageName === '' ? '' : `${packageName}.`;
    this.messages = messages.map((names, index) => lazyMessage(this, undefined, prefix, names, () => this.whole.messages[index]!));
    this.enums = enums.map((name, index) => new LazyEnum(this, undefined, `${prefix}${name}`, name, () => this.whole.enums[index]!));
    this.services = services.map((name, index) => new LazyService(this, `${prefix}${name}`, name, () => this.whole.services[index]!));
    const { name } = this;
    this.view = { ...emptyFile, name, proto: { name: path } as DescFile['proto'], messages: this.messages, enums: this.enums, toString: () => `file ${path}` };
  }

  get whole(): DescFile {
    this.#whole ??= hydrate(this.#base64, this.#imports?.map(viewOf));
    return this.#whole;
  }
  get proto() {
    return this.whole.proto;
  }
  get deprecated() {
    return this.whole.deprecated;
  }
  get edition() {
    return this.whole.edition;
  }
  get dependencies() {
    return this.whole.dependencies;
  }
  get extensions() {
    return this.whole.extensions;
  }
  toString() {
    return `file ${this.name}.proto`;
  }
}

const emptyFile: Pick<DescFile, 'kind' | 'deprecated' | 'edition' | 'dependencies' | 'extensions' | 'services'> = {
  kind: 'file',
  deprecated: false,
  edition: 999,
  dependencies: [],
  extensions: [],
  services: [],
};

function lazyMessage(file: LazyFile, parent: DescMessage | undefined, prefix: string, names: MessageNames, find: () => DescMessage): LazyMessage {
  const [name, messages, enums] = names;
  const made = new LazyMessage(file, parent, `${prefix}${name}`, name, find);
  messages.forEach((nested, index) => {
    made.nestedMessages.push(lazyMessage(file, made, `${made.typeName}.`, nested, () => made.whole.nestedMessages[index]!));
  });
  enums.forEach((nested, index) => {
    made.nestedEnums.push(new LazyEnum(file, made, `${made.typeName}.${nested}`, nested, () => made.whole.nestedEnums[index]!));
  });
  return made;
}

abstract class LazyType<Desc extends DescMessage | DescEnum | DescService> {
  readonly file: LazyFile;
  readonly typeName: string;
  readonly name: string;
  readonly #find: () => Desc;
  #whole: Desc | undefined;

  constructor(file: LazyFile, typeName: string, name: string, find: () => Desc) {
    this.file = file;
    this.typeName = typeName;
    this.name = name;
    this.#find = find;
  }

  get whole(): Desc {
    this.#whole ??= this.#find();
    return this.#whole;
  }
  get deprecated() {
    return this.whole.deprecated;
  }
}

class LazyMessage extends LazyType<DescMessage> implements DescMessage {
  readonly kind = 'message';
  readonly parent: DescMessage | undefined;
  readonly nestedMessages: DescMessage[] = [];
  readonly nestedEnums: DescEnum[] = [];
  /** No file of ours has any. */
  readonly nestedExtensions: DescExtension[] = [];

  constructor(file: LazyFile, parent: DescMessage | undefined, typeName: string, name: string, find: () => DescMessage) {
    super(file, typeName, name, find);
    this.parent = parent;
  }
  get proto() {
    return this.whole.proto;
  }
  get fields() {
    return this.whole.fields;
  }
  get field() {
    return this.whole.field;
  }
  get oneofs() {
    return this.whole.oneofs;
  }
  get members() {
    return this.whole.members;
  }
  override toString() {
    return `message ${this.typeName}`;
  }
}

class LazyEnum extends LazyType<DescEnum> implements DescEnum {
  readonly kind = 'enum';
  readonly parent: DescMessage | undefined;

  constructor(file: LazyFile, parent: DescMessage | undefined, typeName: string, name: string, find: () => DescEnum) {
    super(file, typeName, name, find);
    this.parent = parent;
  }
  get proto() {
    return this.whole.proto;
  }
  get open() {
    return this.whole.open;
  }
  get value() {
    return this.whole.value;
  }
  get values() {
    return this.whole.values;
  }
  get sharedPrefix() {
    return this.whole.sharedPrefix;
  }
  override toString() {
    return `enum ${this.typeName}`;
  }
}

class LazyService extends LazyType<DescService> implements DescService {
  readonly kind = 'service';
  get proto() {
    return this.whole.proto;
  }
  get methods() {
    return this.whole.methods;
  }
  get method() {
    return this.whole.method;
  }
  override toString() {
    return `service ${this.typeName}`;
  }
}

export function fileDesc(base64: string, imports: readonly DescFile[] | undefined, names: FileNames): DescFile {
  return new LazyFile(base64, imports, names);
}

export function messageDesc(file: DescFile, index: number, ...nested: readonly number[]): DescMessage {
  let message = file.messages[index]!;
  for (const one of nested) message = message.nestedMessages[one]!;
  return message;
}

export function enumDesc(file: DescFile, index: number, ...nested: readonly number[]): DescEnum {
  if (nested.length === 0) return file.enums[index]!;
  return messageDesc(file, index, ...nested.slice(0, -1)).nestedEnums[nested.at(-1)!]!;
}

export function serviceDesc(file: DescFile, index: number): DescService {
  return file.services[index]!;
}
