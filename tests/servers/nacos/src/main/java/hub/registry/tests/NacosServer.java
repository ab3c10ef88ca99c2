package hub.registry.tests;

import com.alibaba.nacos.consistency.cp.CPProtocol;
import com.alibaba.nacos.consistency.cp.RequestProcessor4CP;
import com.alibaba.nacos.core.code.ControllerMethodsCache;
import com.alibaba.nacos.core.distributed.ProtocolManager;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.Collection;
import javax.annotation.PostConstruct;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.ServletComponentScan;
import org.springframework.context.annotation.Bean;
import org.springframework.scheduling.annotation.EnableScheduling;

/**
 * The real Java Nacos for the tests: naming over HTTP and gRPC.
 *
 * <p>One node, unless {@code -Dnacos.standalone=false} and {@code -Dnacos.member.list=...} are given.
 */
@SpringBootApplication(scanBasePackages = {"com.alibaba.nacos", "hub.registry.tests"})
@ServletComponentScan("com.alibaba.nacos")
@EnableScheduling
public class NacosServer {

  private final ControllerMethodsCache methods;

  NacosServer(ControllerMethodsCache methods) {
    this.methods = methods;
  }

  public static void main(String[] arguments) {
    // Nacos reads these two from the system properties only, and before Spring's are there.
    setDefault("nacos.standalone", "true");
    setDefault("nacos.functionMode", "naming");
    SpringApplication.run(NacosServer.class, arguments);
  }

  private static void setDefault(String name, String value) {
    if (System.getProperty(name) == null) {
      System.setProperty(name, value);
    }
  }

  // Nacos does this in its console module, which is not republished; without it every call is 501.
  @PostConstruct
  void mapControllers() {
    methods.initClassMethod("com.alibaba.nacos.core.controller");
    methods.initClassMethod("com.alibaba.nacos.naming.controllers");
  }

  // The republished JRaftProtocol.addRequestProcessors has an empty body where Nacos' own creates
  // the Raft group. Without the groups no persistent instance and no metadata can be written ("No
  // corresponding Raft Group"), so they are created here, before the web server opens.
  @Bean
  SmartInitializingSingleton raftGroups(
      ProtocolManager protocols, Collection<RequestProcessor4CP> processors) {
    return () -> createRaftGroups(protocols.getCpProtocol(), processors);
  }

  private static void createRaftGroups(
      CPProtocol<?, ?> protocol, Collection<RequestProcessor4CP> processors) {
    try {
      Field server = protocol.getClass().getDeclaredField("raftServer");
      server.setAccessible(true);
      Method create =
          server.getType().getDeclaredMethod("createMultiRaftGroup", Collection.class);
      create.setAccessible(true);
      create.invoke(server.get(protocol), processors);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("the raft groups cannot be created", e);
    }
  }
}
