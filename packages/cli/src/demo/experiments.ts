/** What the demo offers to try: each one command, undone by one command. `rig` is how the CLI is called from here. */
export interface Experiment {
  /** Where there is no room for its title. */
  readonly name: string;
  readonly title: string;
  readonly command: string;
  readonly undo: string;
  readonly look: string;
}

export function experiments(rig: string, examples: string): Experiment[] {
  const file = (name: string): string => `${examples}/${name}`;
  return [
    {
      name: 'canary',
      title: 'Canary: 90 % of order-service to v1, 10 % to v2',
      command: `${rig} apply -f ${file('canary-90-10.yaml')} --wait`,
      undo: `${rig} delete -f ${file('canary-90-10.yaml')}`,
      look: 'the rates of order-service v1 and v2: 9 to 1 some seconds later',
    },
    {
      name: 'kill',
      title: 'Kill an instance of payment-service with -9',
      command: `${rig} demo kill payment-service-2`,
      undo: `${rig} demo revive payment-service-2`,
      look: 'one instance less, and no request fails',
    },
    {
      name: 'STRICT',
      title: 'STRICT: every workload takes mutual TLS only',
      command: `${rig} apply -f ${file('strict.yaml')} --wait`,
      undo: `${rig} delete -f ${file('strict.yaml')}`,
      look: 'the load goes on, for it has a sidecar; plain text is refused',
    },
    {
      name: 'lock',
      title: 'Lock payment-service to order-service',
      command: `${rig} apply -f ${file('payment-order-only.yaml')} --wait`,
      undo: `${rig} delete -f ${file('payment-order-only.yaml')}`,
      look: `403 for anybody else, the shop goes on: ${rig} demo call web http://payment-service:8080/`,
    },
    {
      name: 'fail',
      title: 'Make payment-service fail, and watch its breaker',
      command: `${rig} demo fail payment-service`,
      undo: `${rig} demo heal payment-service`,
      look: 'the breaker opens; healed, a trial after 30 s closes it again',
    },
  ];
}
