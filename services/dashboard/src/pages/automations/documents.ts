import { graphql } from "../../api/generated";

export const AUTOMATIONS = graphql(`
  query Automations {
    hook(order_by: [{ created: desc }], limit: 500) {
      id
      name
      event_type
      event_tags
      conditions
      is_active
      created
      action {
        id
        name
        action_type
        action_config
        hooks(limit: 2) {
          id
        }
      }
    }
  }
`);
export const SLA_CONFIGS = graphql(`
  query SlaConfigs($ids: [uuid!]!) {
    flow_sla_config(where: { id: { _in: $ids } }, limit: 500) {
      id
      kind
      duration_seconds
      flow_groups(limit: 100) {
        flow_group_id
      }
    }
  }
`);
export const AGENT_CONFIGS = graphql(`
  query AgentConfigs {
    agent_config(order_by: [{ created: desc }], limit: 500) {
      id
      name
      agents(limit: 100) {
        id
      }
    }
  }
`);
export const FLOW_NAMES = graphql(`
  query FlowNames($ids: [uuid!]!) {
    flow_group(where: { id: { _in: $ids } }, limit: 1000) {
      id
      name
    }
  }
`);
export const FLOW_CHOICES = graphql(`
  query FlowChoices($like: String!) {
    flow_group(where: { name: { _ilike: $like } }, order_by: [{ name: asc }], limit: 100) {
      id
      name
    }
  }
`);
export const SECRETS = graphql(`
  query SecretsToChoose {
    secret_names
  }
`);
export const CREATE_ACTION = graphql(`
  mutation CreateAction($name: String!, $config: action_config_input!) {
    create_action(input: { name: $name, config: $config }) {
      id
      warning
    }
  }
`);
export const DELETE_ACTION = graphql(`mutation DeleteAction($id: UUID!) { delete_action(input: { action_id: $id }) { success error } }`);
export const ON_STATE = graphql(`
  mutation HookOnState($action: UUID!, $name: String!, $states: [String!]!, $flows: [UUID!], $conditions: JSON) {
    create_flow_run_state_changed_hook(
      input: { action_id: $action, name: $name, states: $states, flow_group_ids: $flows, conditions: $conditions }
    ) {
      id
    }
  }
`);
export const SLA_CONFIG = graphql(`
  mutation SlaConfig($kind: flow_sla_kind!, $seconds: Int!) {
    create_flow_sla_config(input: { kind: $kind, duration_seconds: $seconds }) {
      id
    }
  }
`);
export const SLA_OF_FLOW = graphql(`
  mutation SlaOfFlow($config: UUID!, $flow: UUID!) {
    create_flow_group_sla(input: { flow_sla_config_id: $config, flow_group_id: $flow }) {
      id
    }
  }
`);
export const ON_SLA = graphql(`
  mutation HookOnSla($action: UUID!, $name: String!, $configs: [UUID!]!, $conditions: JSON) {
    create_flow_sla_failed_hook(input: { action_id: $action, name: $name, sla_config_ids: $configs, conditions: $conditions }) {
      id
    }
  }
`);
export const ON_AGENTS = graphql(`
  mutation HookOnAgents($action: UUID!, $name: String!, $configs: [UUID!]!) {
    create_agent_sla_failed_hook(input: { action_id: $action, name: $name, agent_config_ids: $configs }) {
      id
    }
  }
`);
export const UPDATE_HOOK = graphql(`
  mutation UpdateHook($id: UUID!, $name: String, $isActive: Boolean, $conditions: JSON) {
    update_hook(input: { hook_id: $id, name: $name, is_active: $isActive, conditions: $conditions }) {
      success
      error
    }
  }
`);
export const DELETE_HOOK = graphql(`mutation DeleteHook($id: UUID!) { delete_hook(input: { hook_id: $id }) { success error } }`);
export const CREATE_AGENT_CONFIG = graphql(`mutation CreateAgentConfig($name: String!) { create_agent_config(input: { name: $name }) { id } }`);
