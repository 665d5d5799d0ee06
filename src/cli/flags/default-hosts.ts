/** Where commands look for an appliance, unless a flag says otherwise */
export const defaultRegistryHost = 'localhost:5000'
/** Where push and pull look for a kubo if no appliance answers */
export const defaultIpfsHost = '127.0.0.1:5001'
