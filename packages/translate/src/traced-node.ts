import type { ProxyNode } from './node.ts';

export type NodeField = keyof ProxyNode;

/** A node that writes down which of its fields are read. */
export class TracedNode implements ProxyNode {
  readonly reads = new Set<NodeField>();
  readonly #node: ProxyNode;

  constructor(node: ProxyNode) {
    this.#node = node;
  }

  #read<Field extends NodeField>(field: Field): ProxyNode[Field] {
    this.reads.add(field);
    return this.#node[field];
  }

  get id() {
    return this.#read('id');
  }
  get dataPlane() {
    return this.#read('dataPlane');
  }
  get namespace() {
    return this.#read('namespace');
  }
  get serviceAccount() {
    return this.#read('serviceAccount');
  }
  get workload() {
    return this.#read('workload');
  }
  get service() {
    return this.#read('service');
  }
  get version() {
    return this.#read('version');
  }
  get labels() {
    return this.#read('labels');
  }
  get instance() {
    return this.#read('instance');
  }
  get locality() {
    return this.#read('locality');
  }
  get onDemand() {
    return this.#read('onDemand');
  }
  get httpProxy() {
    return this.#read('httpProxy');
  }
  get upstreams() {
    return this.#read('upstreams');
  }
  get inbound() {
    return this.#read('inbound');
  }
  get accessLog() {
    return this.#read('accessLog');
  }
  get otlp() {
    return this.#read('otlp');
  }
  get certificates() {
    return this.#read('certificates');
  }
  get gateway() {
    return this.#read('gateway');
  }
  get capture() {
    return this.#read('capture');
  }
}
