/** Where the commands look for an appliance and for a kubo, unless they are told */
export const defaultRegistryHost = 'localhost:5000'
export const defaultIpfsHost = '127.0.0.1:5001'
