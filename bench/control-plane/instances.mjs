// Instances that register themselves as agents do (a stream that is the lease, heartbeats on it), whose health changes on demand.
import { create, toBinary } from '@bufbuild/protobuf';
import { AttachRequestSchema } from '@outrigger/xds/protos/outrigger/v1/workload';
import { GrpcConnection } from '../../packages/xds/src/grpc/connection.ts';
import { PORT, serviceName } from './mesh-config.mjs';

const HEARTBEAT_MS = 500;

export class Instances {
  #connection;
  #streams = [];
  #healthy = [];
  #heartbeats;

  /** One more of each of the first `count` services. */
  async start(agentSocket, count) {
    this.#connection = await GrpcConnection.connect({ socketPath: agentSocket });
    await Promise.all(Array.from({ length: count }, (_, index) => this.#register(index)));
    let sequence = 0n;
    this.#heartbeats = setInterval(() => {
      sequence += 1n;
      for (const stream of this.#streams) send(stream, { case: 'heartbeat', value: { sequence } });
    }, HEARTBEAT_MS);
  }

  #register(index) {
    return new Promise((resolve, reject) => {
      const stream = this.#connection.open('/outrigger.v1.WorkloadService/Attach', {
        onMessage: () => resolve(),
        onEnd: (error) => reject(error ?? new Error('the registration was ended')),
      });
      this.#streams[index] = stream;
      this.#healthy[index] = true;
      const name = serviceName(index);
      send(stream, {
        case: 'register',
        value: {
          instance: `${name}-registered`,
          namespace: 'default',
          service: name,
          serviceAccount: name,
          labels: { app: name },
          weight: 1,
          ports: [{ name: 'http', protocol: 'HTTP', servicePort: PORT, applicationPort: 9000, meshPort: 15_001 }],
          address: '127.0.0.1',
          dataPlane: 'outrigger',
          nodeId: `${name}-registered.default`,
        },
      });
    });
  }

  /** Returns whether it is healthy now. */
  toggle(index) {
    const healthy = !this.#healthy[index];
    this.#healthy[index] = healthy;
    send(this.#streams[index], { case: 'health', value: { healthy, reason: healthy ? '' : 'the bench says so' } });
    return healthy;
  }

  stop() {
    clearInterval(this.#heartbeats);
    this.#connection?.close();
  }
}

function send(stream, message) {
  stream.send(toBinary(AttachRequestSchema, create(AttachRequestSchema, { message })));
}
